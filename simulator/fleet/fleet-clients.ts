import { namesDevice } from "../scenario/message-names.ts";
import type { MessagePlan } from "../scenario/message-plan.ts";
import type { Scenario } from "../scenario/scenario.ts";
import type { ConnectionOptions, GatewayAddress } from "./connection.ts";

interface ClientSettings {
  readonly scenario: Scenario;
  readonly gateways: readonly GatewayAddress[];
  readonly username?: string;
  readonly password?: Uint8Array;
}

/** How the clients of a run connect: addresses, credentials and client identifiers. */
export class FleetClients {
  readonly #settings: ClientSettings;
  readonly #plan: MessagePlan;

  constructor(settings: ClientSettings, plan: MessagePlan) {
    this.#settings = settings;
    this.#plan = plan;
  }

  connection(number: number): ConnectionOptions {
    return {
      ...this.#credentials(),
      gateways: this.#settings.gateways,
      clientId: this.#clientId(number),
      isPersistent: this.#plan.roles.isPersistent(number),
    };
  }

  /** A message on a connection of its own has a client identifier of its own. */
  visitor(index: number): ConnectionOptions {
    const { scenario, username, gateways } = this.#settings;
    const suffix = `${scenario.runId}-v${index.toString(36)}`;
    const clientId = username === undefined ? `simulator-${suffix}` : `${username}/${suffix}`;
    return { ...this.#credentials(), gateways, clientId };
  }

  #credentials(): { username?: string; password?: Uint8Array } {
    const { username, password } = this.#settings;
    return {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
  }

  /**
   * Without `{device}` in the topic, the client identifier is the device. With credentials, it begins with
   * the identity.
   */
  #clientId(connection: number): string {
    const { scenario, username } = this.#settings;
    if (!namesDevice(scenario.filter))
      return this.#plan.names.deviceId(this.#plan.device(this.#plan.first(connection)));
    const suffix = `${scenario.runId}-${connection}`;
    return username === undefined ? `simulator-${suffix}` : `${username}/${suffix}`;
  }
}
