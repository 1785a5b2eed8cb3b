import { isSameProcess } from "../../../devices/protocol/process-identity.ts";
import { hostileDevices, hostileTopic } from "../proof-topics.ts";
import { seededRandom } from "../seeded-random.ts";
import type { Strikable, Strike, StrikeEffect } from "../strike.ts";
import type { GatewayUnderTest } from "../under-test/gateway-under-test.ts";
import { Bystander } from "./bystander.ts";
import type { HostileBook } from "./hostile-book.ts";
import { publishHostile } from "./hostile-publisher.ts";
import { HostileSubscribers } from "./hostile-subscriber.ts";

export interface HostileClientsOptions {
  readonly gateways: readonly GatewayUnderTest[];
  readonly book: HostileBook;
}

const seedMax = 2 ** 31;
const harmsMax = 5;

/**
 * Clients of the proof that publish and ask for what no device would. The processes of the gateway must not
 * be affected.
 */
export class HostileClients implements Strikable {
  readonly #options: HostileClientsOptions;
  readonly #subscribers = new HostileSubscribers();
  #strikes = 0;

  constructor(options: HostileClientsOptions) {
    this.#options = options;
  }

  async strike({
    fault,
    gateway,
    amount,
  }: Pick<Strike, "fault" | "gateway" | "amount">): Promise<StrikeEffect> {
    const struck = this.#options.gateways[gateway] as GatewayUnderTest;
    const processes = (["broker", "consumer"] as const).flatMap((role) => struck.processOf(role) ?? []);
    const random = seededRandom(Math.floor(amount * seedMax));
    this.#strikes += 1;
    const { detail, harms, isInFlight } =
      fault === "hostile-payload"
        ? await this.#publish(struck, random)
        : await this.#subscribe(struck, random);
    const gone = processes.filter((each) => !isSameProcess(each)).map(({ pid }) => pid);
    if (gone.length > 0) harms.push(`hostile clients ended processes of the gateway (${gone.join(", ")})`);
    return {
      detail,
      ...(isInFlight ? {} : { isInFlight }),
      ...(harms.length > 0 ? { harm: harms.slice(0, harmsMax).join("; ") } : {}),
    };
  }

  /** Hangs up. */
  close(): void {
    this.#subscribers.end();
  }

  async #publish(gateway: GatewayUnderTest, random: () => number): Promise<Outcome> {
    await gateway.topics.create(hostileTopic);
    const { book } = this.#options;
    const outcome = await publishHostile({ gateway, book, random, strike: this.#strikes });
    const { published, acknowledged, refused, harms } = outcome;
    return {
      detail: `${acknowledged} of ${published} acknowledged, ${refused} refused`,
      harms: [...harms],
      isInFlight: acknowledged > 0,
    };
  }

  async #subscribe({ mqttPort }: GatewayUnderTest, random: () => number): Promise<Outcome> {
    const other = Bystander.start(mqttPort, {
      name: `${hostileDevices}other-${this.#strikes}`,
      book: this.#options.book,
    });
    const { connections, harms } = await this.#subscribers.strike({ port: mqttPort, random });
    const { acknowledged, longestMs, harm } = await other.stop();
    return {
      detail: `${connections} connections, ${acknowledged} messages of another client acknowledged within ${Math.round(longestMs)} ms`,
      harms: [...harms, ...(harm === null ? [] : [harm])],
      isInFlight: connections > 0,
    };
  }
}

interface Outcome {
  readonly detail: string;
  readonly harms: string[];
  /** False: nothing came about. */
  readonly isInFlight: boolean;
}
