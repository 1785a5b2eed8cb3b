import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseRedisUrl, type RedisTarget } from "../../bridge/redis/redis-url.ts";
import { freePort } from "../support/free-port.ts";
import { RedisServer } from "../support/redis-server.ts";
import { block, closeTestStreams, newTestStream, openTestStream } from "../support/redis-stream.ts";

let server: RedisServer;
let folder: string;
let tlsPort: number;

/** A self-signed certificate for 127.0.0.1. */
function certificate(name: string): { key: string; cert: string } {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=${name} -addext subjectAltName=IP:127.0.0.1`;
  const made = spawnSync("openssl", [...args.split(" "), "-keyout", key, "-out", cert], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  return { key, cert };
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-tls-"));
  tlsPort = await freePort();
  const { key, cert } = certificate("server");
  server = await RedisServer.start({
    requirepass: "right",
    "tls-port": String(tlsPort),
    "tls-cert-file": cert,
    "tls-key-file": key,
    "tls-ca-cert-file": cert,
    "tls-auth-clients": "no",
  });
});

after(async () => {
  await closeTestStreams();
  await server.destroy();
  rmSync(folder, { recursive: true });
});

function overTls(target: RedisTarget, query: string): RedisTarget {
  return { ...parseRedisUrl(`rediss://:right@127.0.0.1:${tlsPort}/0${query}`), prefix: target.prefix };
}

test("the stream runs over TLS with the server's certificate, and not with one that no authority has signed", async () => {
  const { target, stream } = await newTestStream(`redis://:right@127.0.0.1:${server.port}/0`);
  await stream.close();
  const trusted = await openTestStream(overTls(target, `?ca=${join(folder, "server.pem")}`));
  await trusted.append(0, block(1));
  await trusted.close();
  const { cert: foreign } = certificate("foreign");
  for (const query of ["", `?ca=${foreign}`])
    await assert.rejects(openTestStream(overTls(target, query)), {
      code: "REDIS_UNAVAILABLE",
      message: /certificate|self-signed/i,
    });
});

test("for the stream, a wrong password and a missing one are REDIS_DENIED", async () => {
  const { target, stream } = await newTestStream(`redis://:right@127.0.0.1:${server.port}/0`);
  await stream.close();
  for (const password of ["wrong", undefined])
    await assert.rejects(openTestStream({ ...target, password }), { code: "REDIS_DENIED", retryable: false });
});
