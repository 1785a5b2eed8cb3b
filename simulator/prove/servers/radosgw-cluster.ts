import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { SimulatorError } from "../../errors.ts";
import { freePort } from "../free-port.ts";
import { type CephPorts, cephConfiguration, monitorAddress } from "./ceph-configuration.ts";
import { programOnPath } from "./required-program.ts";
import type { S3Credentials } from "./s3-admin.ts";
import { answersHttp, ServerProcess } from "./server-process.ts";

const run = promisify(execFile);
const commandTimeoutMs = 60_000;

/**
 * Ceph's S3 server with the smallest cluster that it runs on: a monitor, an OSD in memory, radosgw. It
 * honours `If-None-Match: *` and `If-Match` of PutObject atomically (not of CompleteMultipartUpload), and
 * checks signatures. Objects live as long as the OSD: radosgw alone may be killed and started again.
 */
export class RadosgwCluster {
  /** The S3 server alone. */
  readonly gateway: ServerProcess;
  readonly credentials: S3Credentials;
  readonly #others: readonly ServerProcess[];

  private constructor(gateway: ServerProcess, others: readonly ServerProcess[], credentials: S3Credentials) {
    this.gateway = gateway;
    this.#others = others;
    this.credentials = credentials;
  }

  /** @param folder Its own; is created, or must be empty. Throws PROVE_SERVER_FAILED. */
  static async start(folder: string): Promise<RadosgwCluster> {
    const ceph = await CephFolder.create(folder);
    const credentials = {
      accessKeyId: randomBytes(10).toString("hex"),
      secretAccessKey: randomBytes(20).toString("hex"),
    };
    const cluster = new RadosgwCluster(ceph.gateway(), [ceph.monitor(), ceph.osd()], credentials);
    try {
      const [monitor, osd] = cluster.#others;
      await monitor?.start();
      await ceph.registerOsd();
      await osd?.start();
      await cluster.gateway.start();
      await ceph.createUser(credentials);
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get url(): string {
    return this.gateway.url;
  }

  get port(): number {
    return this.gateway.port;
  }

  /** Of all its processes that run. */
  get pids(): number[] {
    return [this.gateway, ...this.#others].flatMap(({ pid }) => pid ?? []);
  }

  /** Ends all processes at once. The objects are lost. */
  async close(): Promise<void> {
    for (const server of [this.gateway, ...this.#others]) await server.kill();
  }
}

/** The programs of one cluster, by the configuration in its folder. */
class CephFolder {
  readonly #folder: string;
  readonly #ports: CephPorts;
  readonly #clusterId = randomUUID();
  readonly #osdId = randomUUID();

  private constructor(folder: string, ports: CephPorts) {
    this.#folder = folder;
    this.#ports = ports;
  }

  static async create(folder: string): Promise<CephFolder> {
    const ports = { monitorV2: await freePort(), monitorV1: await freePort(), s3: await freePort() };
    const ceph = new CephFolder(folder, ports);
    for (const name of ["monitor", "osd", "radosgw"]) mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(ceph.#configuration, cephConfiguration(folder, ceph.#clusterId, ports));
    await ceph.#createKeys();
    await ceph.#createMonitor();
    return ceph;
  }

  monitor(): ServerProcess {
    return this.#server("ceph-mon", ["-i", "a"], this.#ports.monitorV2, () => accepts(this.#ports.monitorV2));
  }

  osd(): ServerProcess {
    // radosgw waits for it.
    return this.#server("ceph-osd", ["-i", "0"], 0, async () => true);
  }

  gateway(): ServerProcess {
    const { s3 } = this.#ports;
    return this.#server("radosgw", ["-n", "client.admin"], s3, () => answersHttp(`http://127.0.0.1:${s3}`));
  }

  /** While the monitor runs. */
  async registerOsd(): Promise<void> {
    const patience = ["--connect-timeout", String(commandTimeoutMs / 1000)];
    // An OSD that made itself another id never joins.
    await this.#command("ceph", "ceph-common", [...patience, "osd", "new", this.#osdId]);
    await this.#command("ceph-osd", "ceph-osd", ["-i", "0", "--mkfs", "--osd-uuid", this.#osdId]);
  }

  /** While radosgw's cluster runs. */
  async createUser({ accessKeyId, secretAccessKey }: S3Credentials): Promise<void> {
    const keys = [`--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`];
    await this.#command("radosgw-admin", "radosgw", [
      "user",
      "create",
      "--uid=prove",
      "--display-name=prove",
      ...keys,
    ]);
  }

  get #configuration(): string {
    return join(this.#folder, "ceph.conf");
  }

  async #createKeys(): Promise<void> {
    const keyring = join(this.#folder, "keyring");
    writeFileSync(keyring, "");
    const all = (services: readonly string[]) => services.flatMap((service) => ["--cap", service, "allow *"]);
    const rights = {
      "mon.": all(["mon"]),
      "client.admin": all(["mon", "osd", "mds", "mgr"]),
      "osd.0": ["--cap", "mon", "allow profile osd", ...all(["osd"])],
    };
    for (const [name, caps] of Object.entries(rights))
      await this.#tool("ceph-authtool", "ceph-common", [keyring, "--gen-key", "-n", name, ...caps]);
  }

  async #createMonitor(): Promise<void> {
    const map = join(this.#folder, "monmap");
    const keyring = join(this.#folder, "keyring");
    const member = ["--addv", "a", monitorAddress(this.#ports)];
    await this.#tool("monmaptool", "ceph-base", ["--create", "--fsid", this.#clusterId, ...member, map]);
    const files = ["--monmap", map, "--keyring", keyring];
    await this.#command("ceph-mon", "ceph-mon", ["-i", "a", "--mkfs", ...files]);
  }

  #server(program: string, args: readonly string[], port: number, isReady: () => Promise<boolean>) {
    return new ServerProcess({
      name: program,
      port,
      command: programOnPath(program, program),
      args: ["-c", this.#configuration, ...args, "-f"],
      logFile: join(this.#folder, `${program}.out`),
      isReady,
      startTimeoutMs: commandTimeoutMs,
    });
  }

  #command(program: string, debianPackage: string, args: readonly string[]): Promise<void> {
    return this.#tool(program, debianPackage, ["-c", this.#configuration, ...args]);
  }

  async #tool(program: string, debianPackage: string, args: readonly string[]): Promise<void> {
    try {
      await run(programOnPath(program, debianPackage), [...args], { timeout: commandTimeoutMs });
    } catch (error) {
      if (error instanceof SimulatorError) throw error;
      const { stderr = "", message } = error as { stderr?: string; message: string };
      throw new SimulatorError("PROVE_SERVER_FAILED", `${program} failed: ${stderr.trim() || message}`, {
        retryable: false,
        cause: error,
      });
    }
  }
}

/** Whether something listens there. */
async function accepts(port: number): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port });
  try {
    await once(socket, "connect");
    return true;
  } finally {
    socket.destroy();
  }
}
