import { kinesisCallFaults } from "./call-faults.ts";
import { strikeHttpServer } from "./http-server-strikes.ts";
import type { ServerUnderTest } from "./server-under-test.ts";
import { startKinesalite } from "./servers/kinesalite.ts";
import { KinesisAdmin, localKinesisClient } from "./servers/kinesis-admin.ts";
import { KinesisFaultProxy } from "./servers/kinesis-fault-proxy.ts";
import { byChance, swallowEntries } from "./servers/put-records-faults.ts";
import type { ServerProcess } from "./servers/server-process.ts";
import type { Strike, StrikeEffect } from "./strikes.ts";

const streamName = "prove";
const shardCount = 3;
/** Short, so that calls without an answer are made again while the strike lasts. */
const timeoutMs = 2_000;
/** Kinesis looks at them once a minute by default; a proof is over sooner. */
const shardRefreshMs = 5_000;

/**
 * A kinesalite of the proof's own with a stream in it, reached through a proxy that spoils calls. It keeps acknowledged records
 * when it is killed, other than kinesis-local; while the stream is divided anew nothing strikes it, since it would stay so for ever.
 */
export class KinesisUnderTest implements ServerUnderTest {
  /** It checks no signatures, the SDK looks for credentials all the same. */
  readonly environment = {
    AWS_ACCESS_KEY_ID: "prove",
    AWS_SECRET_ACCESS_KEY: "prove",
    AWS_EC2_METADATA_DISABLED: "true",
    TIDEGATE_KINESIS_TIMEOUT_MS: String(timeoutMs),
    TIDEGATE_KINESIS_SHARD_REFRESH_MS: String(shardRefreshMs),
  };
  readonly #server: ServerProcess;
  readonly #proxy: KinesisFaultProxy;
  readonly #admin: KinesisAdmin;

  private constructor(server: ServerProcess, proxy: KinesisFaultProxy) {
    this.#server = server;
    this.#proxy = proxy;
    this.#admin = new KinesisAdmin(localKinesisClient(server.url), streamName);
  }

  /**
   * @param options.losesEntries Some entries that fail are said to be stored: only for showing that the audit finds it.
   * @param options.random In [0, 1): decides which calls are struck. Throws PROVE_SERVER_FAILED.
   */
  static async start(options: {
    readonly folder: string;
    readonly losesEntries: boolean;
    readonly random: () => number;
  }): Promise<KinesisUnderTest> {
    const { folder, losesEntries, random } = options;
    const server = await startKinesalite({ folder });
    try {
      const proxy = await KinesisFaultProxy.listen({ targetPort: server.port, random });
      const kinesis = new KinesisUnderTest(server, proxy);
      await kinesis.#admin.create(shardCount);
      if (losesEntries)
        proxy.inject(swallowEntries(byChance(swallowChance)), { on: ["PutRecords"], after: callsBefore });
      return kinesis;
    } catch (error) {
      await server.kill();
      throw error;
    }
  }

  get url(): string {
    return `kinesis://us-east-1/${streamName}?endpoint=${this.#proxy.url}`;
  }

  async strike(strike: Pick<Strike, "fault" | "pauseMs" | "absenceMs">): Promise<StrikeEffect | null> {
    if (strike.fault === "split" || strike.fault === "merge") {
      await this.#admin[strike.fault]();
      return null;
    }
    return strikeHttpServer({ server: this.#server, proxy: this.#proxy }, kinesisCallFaults, strike);
  }

  /** Its files are in the proof's folder already. */
  async keep(): Promise<void> {}

  async close(): Promise<void> {
    this.#admin.client.destroy();
    await this.#proxy.close();
    this.#server.signal("SIGCONT");
    await this.#server.kill();
  }
}

const swallowChance = 0.02;
const callsBefore = 20;
