import { GatewayError } from "../errors.ts";
import { type DeviceInput, type DeviceRecord, newDeviceRecord } from "./device-record.ts";
import type { RegistryStore } from "./registry-store.ts";

/** An identity without its secret, as shown to administrators. */
export interface DeviceView {
  readonly name: string;
  readonly role: DeviceRecord["role"];
  readonly topicPrefixes: readonly string[];
  readonly secret: DeviceRecord["secret"]["kind"];
  readonly createdAtMs: number;
}

export interface DevicesOptions {
  readonly store: RegistryStore;
  readonly now: () => number;
  /** Called with the name of a removed identity; resolves once its connections are closing. */
  readonly revoked: (name: string) => Promise<void>;
}

/** Administration of identities. Used by the supervisor only. */
export class Devices {
  readonly #options: DevicesOptions;

  constructor(options: DevicesOptions) {
    this.#options = options;
  }

  async list(page: { limit: number; after: string }): Promise<DeviceView[]> {
    return (await this.#options.store.devices(page.limit, page.after)).map(viewOf);
  }

  /**
   * `key` is returned only here; null if the caller gave a password. Throws DEVICE_INVALID, DEVICE_EXISTS.
   */
  async add(input: DeviceInput): Promise<{ device: DeviceView; key: string | null }> {
    const { record, key } = await newDeviceRecord(input, this.#options.now());
    if (!(await this.#options.store.addDevice(record)))
      throw new GatewayError(
        "DEVICE_EXISTS",
        `The identity ${input.name} exists already: remove it first to give it a new key.`,
        { retryable: false },
      );
    return { device: viewOf(record), key };
  }

  /** Removes an identity and closes its connections. Throws DEVICE_UNKNOWN. */
  async remove(name: string): Promise<void> {
    if (!(await this.#options.store.removeDevice(name)))
      throw new GatewayError("DEVICE_UNKNOWN", `There is no identity ${name}.`, { retryable: false });
    await this.#options.revoked(name);
  }
}

function viewOf(record: DeviceRecord): DeviceView {
  const { name, role, topicPrefixes, secret, createdAtMs } = record;
  return { name, role, topicPrefixes, secret: secret.kind, createdAtMs };
}
