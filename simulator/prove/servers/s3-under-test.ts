import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { GetObjectCommand, paginateListObjectsV2, type S3Client } from "@aws-sdk/client-s3";
import { SimulatorError } from "../../errors.ts";
import { s3CallFaults } from "../fault-proxies/call-faults.ts";
import type { HttpFault } from "../fault-proxies/http-fault.ts";
import { S3FaultProxy } from "../fault-proxies/s3-fault-proxy.ts";
import { makeReadOnly } from "../fault-proxies/s3-faults.ts";
import { type LakeAccess, openLakeAccess } from "../lake-access.ts";
import type { ServerUnderTest } from "../server-under-test.ts";
import type { Strike, StrikeEffect } from "../strike.ts";
import { spoil, strikeHttpServer } from "./http-server-strikes.ts";
import { RadosgwCluster } from "./radosgw-cluster.ts";
import { programOnPath } from "./required-program.ts";
import { createBucket, localS3Client } from "./s3-admin.ts";

const bucket = "prove";
const prefix = "lake";
const entryPath = /^\/prove\/lake\/_commits\/\d{20}\.json(\?|$)/;
/** Short, so that calls without an answer are made again while the strike lasts. */
const timeoutMs = 2_000;
const connectTimeoutMs = 1_000;

/** An S3 server of the proof's own with an empty lake in it, reached through a proxy that spoils calls. */
export class S3UnderTest implements ServerUnderTest {
  readonly environment: Readonly<Record<string, string>>;
  readonly #cluster: RadosgwCluster;
  readonly #proxy: S3FaultProxy;
  readonly #client: S3Client;

  private constructor(cluster: RadosgwCluster, proxy: S3FaultProxy) {
    this.#cluster = cluster;
    this.#proxy = proxy;
    this.#client = localS3Client(cluster.url, cluster.credentials);
    this.environment = {
      AWS_ACCESS_KEY_ID: cluster.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: cluster.credentials.secretAccessKey,
      TIDEGATE_S3_TIMEOUT_MS: String(timeoutMs),
      TIDEGATE_S3_CONNECT_TIMEOUT_MS: String(connectTimeoutMs),
    };
  }

  /** @param random In [0, 1): decides which calls are struck. Throws PROVE_SERVER_FAILED. */
  static async start(folder: string, random: () => number): Promise<S3UnderTest> {
    requirePrograms();
    const cluster = await RadosgwCluster.start(folder);
    try {
      const proxy = await S3FaultProxy.listen({ targetPort: cluster.port, server: "radosgw", random });
      const server = new S3UnderTest(cluster, proxy);
      await createBucket(server.#client, bucket);
      return server;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get url(): string {
    return `s3://${bucket}/${prefix}?endpoint=${this.#proxy.url}&region=us-east-1`;
  }

  async strike(strike: Pick<Strike, "fault" | "pauseMs" | "absenceMs">): Promise<StrikeEffect | null> {
    if (strike.fault === "read-only") return spoil(makeReadOnly(this.#proxy), strike.pauseMs);
    const parts = { server: this.#cluster.gateway, proxy: this.#proxy };
    return strikeHttpServer(parts, s3CallFaults, strike);
  }

  /** Past the proxy, which spoils calls. */
  access(): LakeAccess {
    const client = localS3Client(this.#cluster.url, this.#cluster.credentials);
    return openLakeAccess(`s3://${bucket}/${prefix}`, client);
  }

  /** Resolves as soon as the next entry of the lake's commit log is there, or after `timeoutMs`. */
  async nextCommit(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        watching.remove();
        resolve();
      };
      const when = ({ path }: { path: string }) => entryPath.test(path);
      const watching = this.#proxy.inject(tellSuccess(end), { on: ["PutObject"], when });
      const timer = setTimeout(end, waitMs);
    });
  }

  /** Copies the lake to the disk. */
  async keep(folder: string): Promise<void> {
    const pages = paginateListObjectsV2({ client: this.#client }, { Bucket: bucket, Prefix: `${prefix}/` });
    for await (const { Contents = [] } of pages)
      for (const { Key = "" } of Contents) {
        const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: bucket, Key }));
        const file = join(folder, Key);
        await mkdir(dirname(file), { recursive: true });
        if (Body instanceof Readable) await pipeline(Body, createWriteStream(file));
      }
  }

  async close(): Promise<void> {
    this.#client.destroy();
    await this.#proxy.close();
    await this.#cluster.close();
  }
}

/** Harms nothing. */
function tellSuccess(tell: () => void): HttpFault {
  return {
    name: "tellSuccess",
    strike: async (call) => {
      const answer = await call.forward();
      if (answer.status === 200) tell();
      return { unharmed: answer };
    },
  };
}

const programs = ["radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool"];
const debianPackages = "radosgw ceph-mon ceph-osd ceph-common";

function requirePrograms(): void {
  for (const program of programs)
    try {
      programOnPath(program, debianPackages);
    } catch (cause) {
      throw new SimulatorError(
        "PROVE_SERVER_FAILED",
        `--lake s3: starts an S3 server of its own, and ${program} is not installed. Install it (Debian: apt-get install ${debianPackages}), or name a running server: --lake s3://BUCKET/PREFIX?endpoint=URL`,
        { retryable: false, cause },
      );
    }
}
