import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { freePort } from "../../../../../simulator/prove/free-port.ts";
import { answersHttp, ServerProcess } from "../../../../../simulator/prove/servers/server-process.ts";
import { until } from "../../../../support/until.ts";

const folder = await mkdtemp(join(tmpdir(), "tidegate-server-process-"));
const logFile = join(folder, "logs", "server.log");
after(() => rm(folder, { recursive: true, force: true }));

async function serverOf(program: string, command = process.execPath): Promise<ServerProcess> {
  const port = await freePort();
  return new ServerProcess({
    name: "the server",
    port,
    command,
    args: ["-e", program],
    environment: { PORT: String(port) },
    logFile,
    isReady: () => answersHttp(`http://127.0.0.1:${port}`),
    startTimeoutMs: 10_000,
    stopTimeoutMs: 300,
  });
}

const listen = `require("http").createServer((_, r) => r.end()).listen(process.env.PORT, "127.0.0.1");`;

function isAlive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("a server is started, killed and started again on its port", async () => {
  const server = await serverOf(listen);
  await server.start();
  const first = server.pid;
  assert.ok(isAlive(first));
  await server.kill();
  assert.equal(server.pid, undefined);
  assert.ok(!isAlive(first));
  await server.start();
  assert.notEqual(server.pid, first);
  assert.ok(await answersHttp(server.url));
  await server.stop();
  assert.equal(server.pid, undefined);
});

test("a server that is kept running is started again if it ends by itself, and not if it is killed", async () => {
  const server = await serverOf(listen);
  const lines: string[] = [];
  server.keepRunning((line) => lines.push(line));
  await server.start();
  const first = server.pid;
  process.kill(first as number, "SIGABRT");
  await until("another process runs", () => server.pid !== undefined && server.pid !== first);
  await until("it answers", () => answersHttp(server.url).catch(() => false));
  assert.deepEqual(lines, ["the server ended by itself (SIGABRT) and is started again"]);
  await server.kill();
  assert.equal(server.pid, undefined);
  await server.start();
  await server.stop();
  assert.deepEqual([server.pid, lines.length], [undefined, 1]);
});

test("a server that ends by itself while it is killed stays away", async () => {
  const server = await serverOf(listen);
  server.keepRunning(() => {});
  await server.start();
  process.kill(server.pid as number, "SIGABRT");
  await server.kill();
  await until("no process runs", () => server.pid === undefined);
});

test("a server that ignores TERM is killed", async () => {
  const server = await serverOf(`process.on("SIGTERM", () => {}); ${listen}`);
  await server.start();
  await server.stop();
  assert.equal(server.pid, undefined);
});

test("a paused server does not answer until it goes on", async () => {
  const server = await serverOf(listen);
  await server.start();
  server.signal("SIGSTOP");
  await assert.rejects(answersHttp(server.url));
  server.signal("SIGCONT");
  assert.ok(await answersHttp(server.url));
  await server.kill();
});

test("if a server ends instead of starting, or can't be run, the error names its log", async () => {
  const broken = await serverOf(`console.log("no way"); process.exit(3)`);
  await assert.rejects(broken.start(), { code: "PROVE_SERVER_FAILED", message: /ended with 3.*server\.log/ });
  assert.match(await readFile(logFile, "utf8"), /no way/);
  const missing = await serverOf("", join(folder, "no-such-program"));
  await assert.rejects(missing.start(), { code: "PROVE_SERVER_FAILED", message: /ENOENT/ });
});

test("a process that ends takes its servers along", async () => {
  const port = await freePort();
  const module = new URL("../../../../../simulator/prove/servers/server-process.ts", import.meta.url).href;
  const options = { name: "s", port, command: process.execPath, args: ["-e", listen], logFile };
  const program = `
    const { ServerProcess } = await import(${JSON.stringify(module)});
    const server = new ServerProcess({ ...${JSON.stringify(options)}, environment: { PORT: "${port}" },
      isReady: async () => (await fetch("http://127.0.0.1:${port}")).ok });
    await server.start();
    console.log(server.pid);
    process.exit(0);`;
  const args = ["--import", "tsx", "--input-type=module", "-e", program];
  const parent = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(parent, "exit");
  const [text] = await once(parent.stdout, "data");
  assert.equal((await exited)[0], 0);
  await until("the server has ended", () => !isAlive(Number(text)));
});
