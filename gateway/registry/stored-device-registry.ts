import { createHmac, randomBytes } from "node:crypto";
import type { DeviceRegistry, Identity, SlowCheck } from "../../broker/index.ts";
import type { DeviceRecord } from "./device-record.ts";
import { isRightKey, isRightPassword, type StoredPassword, unknownPassword } from "./device-secret.ts";
import type { RegistryStore } from "./registry-store.ts";

const verifiedMax = 10_000;

/** Lookups of identities in doubt at the same time. */
const doubtsMax = 64;

/** The broker's view of the identities: looked up at each connect, so that a change counts at once. */
export class StoredDeviceRegistry implements DeviceRegistry {
  readonly #store: Pick<RegistryStore, "device">;
  readonly #listeners: ((name: string) => void)[] = [];
  /** Passwords that were right, keyed so that neither they nor their plain hash is kept; oldest first. */
  readonly #verified = new Set<string>();
  readonly #verifiedKey = randomBytes(32);
  /** What the secret of an unknown name, and a wrong key, are compared with: the answer takes as long as to a wrong password. */
  readonly #nobody = unknownPassword();
  /** Which record an identity was made from, as long as a connection keeps it. */
  readonly #records = new WeakMap<Identity, string>();

  constructor(store: Pick<RegistryStore, "device" | "listen">) {
    this.#store = store;
    store.listen({ deviceRevoked: (name) => this.revoked(name) });
  }

  /**
   * Right keys, and passwords that were right before, are known at once. Everything else takes a slow check, whether the name is a
   * key's, a password's or nobody's. Rejects with a retryable error if the registry can't be asked.
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

  async #refuseSlowly(secret: Uint8Array): Promise<null> {
    await isRightPassword(this.#nobody, secret);
    return null;
  }

  async #checkPassword(asked: {
    record: DeviceRecord;
    stored: StoredPassword;
    secret: Uint8Array;
    cacheKey: string;
  }): Promise<Identity | null> {
    if (!(await isRightPassword(asked.stored, asked.secret))) return null;
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
