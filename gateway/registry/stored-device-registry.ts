import { createHmac, randomBytes } from "node:crypto";
import type { DeviceRegistry, Identity } from "../../broker/index.ts";
import { GatewayError } from "../errors.ts";
import type { DeviceRecord } from "./device-record.ts";
import { hashKey, isRightKey, isRightPassword } from "./device-secret.ts";
import type { RegistryStore } from "./registry-store.ts";

/** Passwords checked at once: each takes a thread of Node's pool of four, which file writes need as well. */
const passwordChecksMax = 2;
/** Then a check has waited for about five seconds. */
const passwordQueueMax = 256;
const verifiedMax = 10_000;
/** What an unknown name's secret is compared with, so that the answer takes as long as a wrong secret's. */
const nobody = hashKey("");

/** Lookups of identities in doubt at the same time. */
const doubtsMax = 64;

/** The broker's view of the identities: looked up at each connect, so that a change counts at once. */
export class StoredDeviceRegistry implements DeviceRegistry {
  readonly #store: Pick<RegistryStore, "device">;
  readonly #listeners: ((name: string) => void)[] = [];
  /** Passwords that were right, keyed so that neither they nor their plain hash is kept; oldest first. */
  readonly #verified = new Set<string>();
  readonly #verifiedKey = randomBytes(32);
  #checks = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #queueMax: number;
  /** Which record an identity was made from, as long as a connection keeps it. */
  readonly #records = new WeakMap<Identity, string>();

  constructor(store: Pick<RegistryStore, "device" | "listen">, options: { queueMax?: number } = {}) {
    this.#store = store;
    this.#queueMax = options.queueMax ?? passwordQueueMax;
    store.listen({ deviceRevoked: (name) => this.revoked(name) });
  }

  /** Rejects with a retryable error where too many passwords wait to be checked (AUTHENTICATION_BUSY), or the registry can't be asked. */
  async verify(name: string, secret: Uint8Array): Promise<Identity | null> {
    const record = await this.#store.device(name);
    if (record?.secret.kind === "password")
      return (await this.#isRightPassword(record, secret)) ? this.#identityOf(record) : null;
    const stored = record?.secret.kind === "key" ? record.secret : nobody;
    const isRight = stored.kind === "key" && isRightKey(stored, secret);
    return record && isRight ? this.#identityOf(record) : null;
  }

  /**
   * Looks identities that `verify` answered up again, and tells the listeners of those that were removed or made anew since.
   * Rejects where the registry can't be reached.
   */
  async recheck(identities: readonly Identity[]): Promise<void> {
    const keyOf = (identity: Identity) => `${this.#records.get(identity)}/${identity.name}`;
    const left = [...new Map(identities.map((identity) => [keyOf(identity), identity])).values()];
    const checkNext = async (): Promise<void> => {
      for (let next = left.pop(); next; next = left.pop()) {
        const record = await this.#store.device(next.name);
        if (record?.id !== this.#records.get(next)) this.revoked(next.name);
      }
    };
    await Promise.all(Array.from({ length: doubtsMax }, checkNext));
  }

  onRevoked(listener: (name: string) => void): void {
    this.#listeners.push(listener);
  }

  /** Tells the listeners that an identity was removed or changed. */
  revoked(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }

  #identityOf(record: DeviceRecord): Identity {
    const identity = { name: record.name, role: record.role, topicPrefixes: record.topicPrefixes };
    this.#records.set(identity, record.id);
    return identity;
  }

  async #isRightPassword(record: DeviceRecord, secret: Uint8Array): Promise<boolean> {
    if (record.secret.kind !== "password") return false;
    const cacheKey = createHmac("sha256", this.#verifiedKey)
      .update(`${record.id}\n`)
      .update(secret)
      .digest("base64");
    if (this.#verified.delete(cacheKey)) {
      this.#verified.add(cacheKey);
      return true;
    }
    await this.#enter();
    try {
      const isRight = await isRightPassword(record.secret, secret);
      if (isRight) this.#remember(cacheKey);
      return isRight;
    } finally {
      this.#leave();
    }
  }

  #remember(cacheKey: string): void {
    this.#verified.add(cacheKey);
    if (this.#verified.size <= verifiedMax) return;
    const oldest = this.#verified.values().next();
    if (!oldest.done) this.#verified.delete(oldest.value);
  }

  async #enter(): Promise<void> {
    if (this.#checks < passwordChecksMax) {
      this.#checks++;
      return;
    }
    if (this.#waiting.length >= this.#queueMax)
      throw new GatewayError(
        "AUTHENTICATION_BUSY",
        "Too many passwords wait to be checked: try again later.",
        {
          retryable: true,
        },
      );
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#checks--;
  }
}
