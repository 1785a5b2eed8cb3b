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

/** The broker's view of the identities: read from the database at each connect, so that a change counts at once. */
export class StoredDeviceRegistry implements DeviceRegistry {
  readonly #store: RegistryStore;
  readonly #listeners: ((name: string) => void)[] = [];
  /** Passwords that were right, keyed so that neither they nor their plain hash is kept; oldest first. */
  readonly #verified = new Set<string>();
  readonly #verifiedKey = randomBytes(32);
  #checks = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #queueMax: number;

  constructor(store: RegistryStore, options: { queueMax?: number } = {}) {
    this.#store = store;
    this.#queueMax = options.queueMax ?? passwordQueueMax;
  }

  /** Rejects with AUTHENTICATION_BUSY (retryable) where too many passwords wait to be checked. */
  async verify(name: string, secret: Uint8Array): Promise<Identity | null> {
    this.#store.refresh();
    const record = this.#store.device(name);
    if (record?.secret.kind === "password")
      return (await this.#isRightPassword(record, secret)) ? identityOf(record) : null;
    const stored = record?.secret.kind === "key" ? record.secret : nobody;
    const isRight = stored.kind === "key" && isRightKey(stored, secret);
    return record && isRight ? identityOf(record) : null;
  }

  onRevoked(listener: (name: string) => void): void {
    this.#listeners.push(listener);
  }

  /** Tells the listeners that an identity was removed or changed. */
  revoked(name: string): void {
    for (const listener of this.#listeners) listener(name);
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

function identityOf(record: DeviceRecord): Identity {
  return { name: record.name, role: record.role, topicPrefixes: record.topicPrefixes };
}
