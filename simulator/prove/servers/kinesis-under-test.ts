import { kinesisCallFaults } from "../fault-proxies/call-faults.ts";
import { KinesisFaultProxy } from "../fault-proxies/kinesis-fault-proxy.ts";
import { byChance, swallowEntries } from "../fault-proxies/put-records-faults.ts";
import type { ServerUnderTest } from "../server-under-test.ts";
import type { Strike, StrikeEffect } from "../strike.ts";
import { strikeHttpServer } from "./http-server-strikes.ts";
import { startKinesalite } from "./kinesalite.ts";
import { KinesisAdmin, localKinesisClient } from "./kinesis-admin.ts";
import type { ServerProcess } from "./server-process.ts";

const streamName = "prove";
const shardCount = 3;
/** Short, so that calls without an answer are made again while the strike lasts. */
const timeoutMs = 2_000;
/** Kinesis looks at them once a minute by default; a proof is over sooner. */
const shardRefreshMs = 5_000;

/**
 * A kinesalite of the proof with a stream in it, behind a proxy that spoils calls. Unlike kinesis-local it
 * keeps acknowledged records when it is killed. Nothing strikes it while the stream is divided: the stream
 * would stay UPDATING for ever.
 */
export class KinesisUnderTest implements ServerUnderTest {
  /** kinesalite checks no signatures, but the SDK looks for credentials all the same. */
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
   * @param options.losesEntries Some entries that fail are reported as stored. Only to show that the audit
   * finds the loss.
   * @param options.random In [0, 1): decides which calls are struck.
   * @throws SimulatorError PROVE_SERVER_FAILED
   */
  static async start(options: {
    readonly folder: string;
    readonly losesEntries: boolean;
    readonly random: () => number;
  }): Promise<KinesisUnderTest> {
    const { folder, losesEntries, random } = options;
    const server = await startKinesalite({ folder });
    server.keepRunning((line) => process.stderr.write(`${line}\n`));
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
