import { BrokerError } from "../errors.ts";
import type { DeviceRegistry, Identity, SlowCheck } from "./device-registry.ts";
import type { RefusalFields } from "./refusal-log.ts";
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

interface AuthenticationOptions {
  readonly anonymous: boolean;
  readonly timeoutMs: number;
  readonly runningMax: number;
  readonly waitingMax: number;
  readonly slowChecks: SlowChecks;
}

/**
 * Checks who connects: bounded in number, in waiting and in time, since it is asked by whoever can reach the port. What takes a slow
 * hash waits apart, so that keys never wait for it.
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

  /** A null identity is an anonymous client on a loopback listener. Never rejects. */
  async identify(
    name: string | undefined,
    secret: Uint8Array | undefined,
    asker: Asker,
  ): Promise<AuthenticationOutcome> {
    if (name === undefined || name === "")
      return this.#options.anonymous ? { outcome: "identified", identity: null } : refused;
    if (secret === undefined || secret.length === 0) return refused;
    try {
      const answer = await this.#lookUp(name, secret);
      if (answer === "busy")
        return { ...busy, fields: { bound: "authenticationsWaitingMax", limit: this.#options.waitingMax } };
      return typeof answer === "function" ? await this.#checkSlowly(answer, asker) : outcomeOf(answer);
    } catch {
      // The registry can't be reached, or not in time: the client may come back.
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

/** Throws ANONYMOUS_NOT_LOOPBACK: whoever can reach the port could publish as any device. */
export function checkAnonymousListener(host: string, anonymous: boolean): void {
  if (!anonymous || isLoopback(host)) return;
  throw new BrokerError(
    "ANONYMOUS_NOT_LOOPBACK",
    `MQTT on ${host} would let anybody in without a key: set mqtt.anonymous = false and give devices keys with \`tidegate devices add\`, or listen on 127.0.0.1`,
    { retryable: false, details: { host } },
  );
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(host);
}

/** A device connects under its own name, an edge under its name or `<name>/<suffix>` for each of its connections. */
export function ownsClientId(identity: Identity | null, clientId: string): boolean {
  if (identity === null || clientId === identity.name) return true;
  return identity.role === "edge" && clientId.startsWith(`${identity.name}/`);
}
