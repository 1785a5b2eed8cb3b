import type { DeviceRegistry, Identity, SlowCheck } from "./device-registry.ts";
import type { RefusalFields } from "./refusal.ts";
import type { Asker, SlowCheckBounds, SlowChecks } from "./slow-checks.ts";

export type AuthenticationOutcome =
  | { readonly outcome: "identified"; readonly identity: Identity | null }
  | {
      readonly outcome: "refused";
      readonly reason: "credentials" | "authentication-busy" | "authentication-abandoned";
      readonly fields?: RefusalFields;
    };

const refused = { outcome: "refused", reason: "credentials" } as const;
const busy = { outcome: "refused", reason: "authentication-busy" } as const;
const abandoned = { outcome: "refused", reason: "authentication-abandoned" } as const;

/** The credentials of a client. */
export interface Credentials {
  readonly name: string | undefined;
  readonly secret: Uint8Array | undefined;
  /** Whether the listener admits clients without a name. */
  readonly mayBeAnonymous: boolean;
}

interface AuthenticationOptions {
  readonly timeoutMs: number;
  readonly runningMax: number;
  readonly waitingMax: number;
  readonly slowChecks: SlowChecks;
}

/**
 * Checks connecting clients. Any process that can reach the port may ask, so the checks are bounded in
 * number, in waiting and in time. Slow hashes wait in a queue of their own, so that keys never wait for them.
 */
export class Authentication {
  readonly #devices: DeviceRegistry;
  readonly #options: AuthenticationOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(devices: DeviceRegistry, options: AuthenticationOptions) {
    this.#devices = devices;
    this.#options = options;
  }

  /** A null identity is an anonymous client. Never rejects. */
  async identify(credentials: Credentials, asker: Asker): Promise<AuthenticationOutcome> {
    const { name, secret, mayBeAnonymous } = credentials;
    if (name === undefined || name === "")
      return mayBeAnonymous ? { outcome: "identified", identity: null } : refused;
    if (secret === undefined || secret.length === 0) return refused;
    try {
      const answer = await this.#lookUp(name, secret);
      if (answer === "busy")
        return { ...busy, fields: { bound: "authenticationsWaitingMax", limit: this.#options.waitingMax } };
      return typeof answer === "function" ? await this.#checkSlowly(answer, asker) : outcomeOf(answer);
    } catch {
      // The registry cannot be reached, or not in time: the client may retry.
      return { ...busy, fields: { bound: "authenticationTimeoutMs", limit: this.#options.timeoutMs } };
    }
  }

  async #lookUp(name: string, secret: Uint8Array): Promise<Identity | null | SlowCheck | "busy"> {
    if (this.#running >= this.#options.runningMax) {
      if (this.#waiting.length >= this.#options.waitingMax) return "busy";
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running += 1;
    try {
      return await this.#inTime(this.#devices.verify(name, secret));
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #checkSlowly(check: SlowCheck, asker: Asker): Promise<AuthenticationOutcome> {
    const result = await this.#options.slowChecks.run(check, asker);
    if (result.outcome === "answered") return outcomeOf(result.answer);
    if (result.outcome === "left") return abandoned;
    return { ...busy, fields: { bound: slowCheckSettings[result.bound], limit: result.limit } };
  }

  async #inTime<Result>(work: Promise<Result>): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("late")), this.#options.timeoutMs);
    });
    return await Promise.race([work, late]).finally(() => clearTimeout(timer));
  }
}

/** The settings that bound slow checks. */
const slowCheckSettings: Record<keyof SlowCheckBounds, string> = {
  runningMax: "slowChecksMax",
  waitingMax: "slowChecksWaitingMax",
  perAddressMax: "slowChecksPerAddressMax",
  waitMaxMs: "authenticationTimeoutMs",
};

function outcomeOf(identity: Identity | null): AuthenticationOutcome {
  return identity ? { outcome: "identified", identity } : refused;
}

/**
 * A device connects under its own name, an edge under its name or `<name>/<suffix>` for each of its
 * connections.
 */
export function ownsClientId(identity: Identity | null, clientId: string): boolean {
  if (identity === null || clientId === identity.name) return true;
  return identity.role === "edge" && clientId.startsWith(`${identity.name}/`);
}
