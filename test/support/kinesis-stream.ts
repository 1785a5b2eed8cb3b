import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { createKinesisStream } from "../../bridge/streams/kinesis/create-stream.ts";
import {
  type KinesisStream,
  type KinesisStreamOptions,
  openKinesisStream,
} from "../../bridge/streams/kinesis/kinesis-stream.ts";
import { type KinesisTarget, kinesisTargetOf } from "../../bridge/streams/kinesis/kinesis-url.ts";
import { KinesisFaultProxy } from "../../simulator/prove/fault-proxies/kinesis-fault-proxy.ts";
import { startKinesalite } from "../../simulator/prove/servers/kinesalite.ts";
import { KinesisAdmin, localKinesisClient } from "../../simulator/prove/servers/kinesis-admin.ts";
import { startKinesisLocal } from "../../simulator/prove/servers/kinesis-local.ts";
import type { ServerProcess } from "../../simulator/prove/servers/server-process.ts";
import { silentLogger } from "./test-lake.ts";

/** Local servers do not check credentials, but the SDK needs some. These are found on this machine only. */
process.env["AWS_ACCESS_KEY_ID"] = "local";
process.env["AWS_SECRET_ACCESS_KEY"] = "local";
process.env["AWS_EC2_METADATA_DISABLED"] = "true";

/** Local servers have no limits per shard. */
export const quickKinesis = {
  gatherMs: 0,
  shardRecordsPerSecond: 1_000_000,
  shardBytesPerSecond: 2 ** 40,
  shardReadBytesPerSecond: 2 ** 40,
  pollMs: 10,
  catchUpMs: 1,
  shardRefreshMs: 60_000,
} as const;

export type LocalKinesis = "kinesalite" | "kinesis-local";

/** A local Kinesis with a proxy in front of it, and streams in it. */
export class KinesisUnderTest {
  readonly server: ServerProcess;
  readonly proxy: KinesisFaultProxy;
  readonly #folder: string;
  readonly #admins: KinesisAdmin[] = [];

  private constructor(server: ServerProcess, proxy: KinesisFaultProxy, folder: string) {
    this.server = server;
    this.proxy = proxy;
    this.#folder = folder;
  }

  static async start(kind: LocalKinesis, random: () => number = Math.random): Promise<KinesisUnderTest> {
    const folder = mkdtempSync(join(tmpdir(), "tidegate-kinesis-"));
    const start = kind === "kinesalite" ? startKinesalite : startKinesisLocal;
    const server = await start({ folder, isPersistent: false, shardLimit: 1000 });
    const proxy = await KinesisFaultProxy.listen({ targetPort: server.port, random });
    return new KinesisUnderTest(server, proxy, folder);
  }

  /** A stream of its own. */
  async stream(shardCount: number): Promise<StreamInKinesis> {
    const streamName = `t${randomBytes(6).toString("hex")}`;
    const target = kinesisTargetOf(`kinesis://us-east-1/${streamName}?endpoint=${this.proxy.url}`);
    await createKinesisStream({ target, shardCount });
    const admin = new KinesisAdmin(localKinesisClient(this.server.url), streamName);
    this.#admins.push(admin);
    return new StreamInKinesis(target, admin);
  }

  async destroy(): Promise<void> {
    for (const { client } of this.#admins) client.destroy();
    await this.proxy.close();
    await this.server.kill();
    rmSync(this.#folder, { recursive: true });
  }
}

export class StreamInKinesis {
  readonly target: KinesisTarget;
  readonly admin: KinesisAdmin;
  readonly #handles: KinesisStream[] = [];

  constructor(target: KinesisTarget, admin: KinesisAdmin) {
    this.target = target;
    this.admin = admin;
  }

  async open(
    options: Partial<KinesisStreamOptions> & { readonly logger?: Logger } = {},
  ): Promise<KinesisStream> {
    const base = { target: this.target, mode: "append", logger: silentLogger, ...quickKinesis } as const;
    const stream = await openKinesisStream({ ...base, ...options });
    this.#handles.push(stream);
    return stream;
  }

  async close(): Promise<void> {
    for (const handle of this.#handles) await handle.close();
  }
}
