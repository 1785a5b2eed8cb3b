import type { DeviceRegistry, Identity } from "./device-registry.ts";
import { BrokerError } from "./errors.ts";

export type AuthenticationOutcome =
  | { readonly outcome: "identified"; readonly identity: Identity | null }
  | { readonly outcome: "refused"; readonly reason: "credentials" | "authentication-busy" };

const refused = { outcome: "refused", reason: "credentials" } as const;
const busy = { outcome: "refused", reason: "authentication-busy" } as const;

/** Checks who connects: bounded in number, in waiting and in time, since it is asked by whoever can reach the port. */
export class Authentication {
  readonly #devices: DeviceRegistry;
  readonly #options: { anonymous: boolean; timeoutMs: number; runningMax: number; waitingMax: number };
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(
    devices: DeviceRegistry,
    options: { anonymous: boolean; timeoutMs: number; runningMax: number; waitingMax: number },
  ) {
    this.#devices = devices;
    this.#options = options;
  }

  /** A null identity is an anonymous client on a loopback listener. Never rejects. */
  async identify(name: string | undefined, secret: Uint8Array | undefined): Promise<AuthenticationOutcome> {
    if (name === undefined || name === "")
      return this.#options.anonymous ? { outcome: "identified", identity: null } : refused;
    if (secret === undefined || secret.length === 0) return refused;
    if (this.#running >= this.#options.runningMax) {
      if (this.#waiting.length >= this.#options.waitingMax) return busy;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running += 1;
    try {
      const identity = await this.#inTime(this.#devices.verify(name, secret));
      return identity ? { outcome: "identified", identity } : refused;
    } catch {
      // The registry can't be reached, or not in time: the client may come back.
      return busy;
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #inTime<Result>(work: Promise<Result>): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("late")), this.#options.timeoutMs);
    });
    return await Promise.race([work, late]).finally(() => clearTimeout(timer));
  }
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
