import { createHmac, randomBytes } from "node:crypto";
import type { DeviceRegistry, Identity, SlowCheck } from "../../broker/index.ts";
import type { DeviceRecord } from "./device-record.ts";
import { isRightKey, isRightPassword, type StoredPassword, unknownPassword } from "./device-secret.ts";
import type { RegistryStore } from "./registry-store.ts";
import { ScryptThreads } from "./scrypt-threads.ts";

const verifiedMax = 10_000;

/** Lookups at the same time in a recheck. */
const doubtsMax = 64;

/**
 * The broker's view of the identities. Looks up the identity at each connect, so that a change applies at
 * once.
 */
export class StoredDeviceRegistry implements DeviceRegistry {
  readonly #store: Pick<RegistryStore, "device">;
  readonly #threads = new ScryptThreads();
  readonly #listeners: ((name: string) => void)[] = [];
  /** Keyed hashes of correct passwords, oldest first. Neither passwords nor their plain hashes are kept. */
  readonly #verified = new Set<string>();
  readonly #verifiedKey = randomBytes(32);
  /**
   * Compared with wrong keys and with secrets of unknown names, so that the answer takes as long as for a
   * wrong password.
   */
  readonly #nobody = unknownPassword();
  /** Record ids of the identities that connections use. */
  readonly #records = new WeakMap<Identity, string>();

  constructor(store: Pick<RegistryStore, "device" | "listen">) {
    this.#store = store;
    store.listen({ deviceRevoked: (name) => this.revoked(name) });
  }

  /**
   * Correct keys, and passwords that were correct before, are verified at once. Everything else takes a slow
   * check, whether the name has a key, has a password or does not exist. Rejects with a retryable error if
   * the registry cannot be read.
   */
  async verify(name: string, secret: Uint8Array): Promise<Identity | SlowCheck> {
    const record = await this.#store.device(name);
    if (record?.secret.kind === "key" && isRightKey(record.secret, secret)) return this.#identityOf(record);
    if (record?.secret.kind !== "password") return () => this.#refuseSlowly(secret);
    const { secret: stored } = record;
    const cacheKey = this.#cacheKey(record, secret);
    if (!this.#verified.delete(cacheKey))
      return () => this.#checkPassword({ record, stored, secret, cacheKey });
    this.#verified.add(cacheKey);
    return this.#identityOf(record);
  }

  /**
   * Looks up identities that `verify` has returned again. Calls the listeners for those that were removed or
   * replaced since. Rejects if the registry cannot be reached.
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

  /** Calls the listeners for an identity that was removed or changed. */
  revoked(name: string): void {
    for (const listener of this.#listeners) listener(name);
  }

  #identityOf(record: DeviceRecord): Identity {
    const identity = { name: record.name, role: record.role, topicPrefixes: record.topicPrefixes };
    this.#records.set(identity, record.id);
    return identity;
  }

  async #refuseSlowly(secret: Uint8Array): Promise<null> {
    await isRightPassword(this.#nobody, secret, this.#threads);
    return null;
  }

  async #checkPassword(asked: {
    record: DeviceRecord;
    stored: StoredPassword;
    secret: Uint8Array;
    cacheKey: string;
  }): Promise<Identity | null> {
    if (!(await isRightPassword(asked.stored, asked.secret, this.#threads))) return null;
    this.#remember(asked.cacheKey);
    return this.#identityOf(asked.record);
  }

  #cacheKey(record: DeviceRecord, secret: Uint8Array): string {
    return createHmac("sha256", this.#verifiedKey).update(`${record.id}\n`).update(secret).digest("base64");
  }

  #remember(cacheKey: string): void {
    this.#verified.add(cacheKey);
    if (this.#verified.size <= verifiedMax) return;
    const oldest = this.#verified.values().next();
    if (!oldest.done) this.#verified.delete(oldest.value);
  }
}
