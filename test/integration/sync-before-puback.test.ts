import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GatewayProcess } from "../support/gateway-process.ts";
import { RawMqtt } from "../support/raw-mqtt.ts";
import { SystemCalls, type TracedCall } from "../support/system-calls.ts";

/** Packet identifiers whose low byte is a letter, which strace prints as it is. */
const identifiers = [..."ABCDEFGH"].map((letter) => letter.charCodeAt(0));
const calls =
  "read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,msync";
/** Linux, octal as in /proc/PID/fdinfo: each write returns once it is on the disk. */
const writesThroughFlag = 0o10000;

test("G1: the bytes of a message are forced to the disk after its PUBLISH is read and before its PUBACK is written", async (context) => {
  // No commits, so that nothing is trimmed, and the stream's file gets only the messages.
  const gateway = await GatewayProcess.start({
    environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "3600000" },
  });
  context.after(() => gateway.destroy());
  const broker = gateway.childPid("broker");
  assert.ok(broker !== null);
  const rootDescriptors = descriptorsThatWriteThrough(broker, join(gateway.dataFolder, "stream", "data.mdb"));
  const trace = await SystemCalls.attach(broker, join(gateway.dataFolder, "trace"), calls);
  if ("reason" in trace) {
    context.diagnostic(trace.reason);
    context.skip(trace.reason);
    return;
  }
  const client = await RawMqtt.connected(gateway.mqttPort, { clientId: "traced" });
  for (const messageId of identifiers) {
    client.publish("fleet/traced/telemetry", `{"id":"${markerOf(messageId)}"}`, { messageId });
    await client.until(() => client.acknowledgedIds().includes(messageId));
  }
  client.end();
  const traced = await trace.end();
  const wanted = ["read", "data", "sync", "root", "puback"];
  for (const messageId of identifiers)
    assert.deepEqual(stepsOf(traced, messageId, rootDescriptors), wanted, markerOf(messageId));
});

function markerOf(messageId: number): string {
  return `marker-${messageId}!`;
}

/** Descriptors through which the file gets the root pointer of a commit: opened with O_DSYNC. */
function descriptorsThatWriteThrough(pid: number, file: string): ReadonlySet<string> {
  const descriptors = readdirSync(`/proc/${pid}/fd`).filter((descriptor) => {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, "utf8"))?.[1];
    const isOfFile = readlinkSync(`/proc/${pid}/fd/${descriptor}`) === file;
    return isOfFile && (Number.parseInt(flags ?? "0", 8) & writesThroughFlag) !== 0;
  });
  assert.ok(descriptors.length > 0, "lmdb has a descriptor opened with O_DSYNC");
  return new Set(descriptors);
}

/**
 * The path of one message. Each step is a call that began after the previous one had ended: the bytes are
 * read from a socket and written to the stream's file, the file is flushed, the root pointer that makes them
 * valid is written through, and PUBACK is written to the socket.
 */
function stepsOf(
  traced: readonly TracedCall[],
  messageId: number,
  rootDescriptors: ReadonlySet<string>,
): string[] {
  const marker = markerOf(messageId);
  // [MQTT-3.4.1]
  const puback = `"@\\2\\0${String.fromCharCode(messageId)}"`;
  const onFile = (call: TracedCall): boolean => /^\w+\(\d+<[^>]*\/stream\/data\.mdb>/.test(call.text);
  const descriptor = (call: TracedCall): string => /^\w+\((\d+)/.exec(call.text)?.[1] ?? "";
  const isRoot = (call: TracedCall): boolean => onFile(call) && rootDescriptors.has(descriptor(call));
  const isWrite = (call: TracedCall): boolean => /^(p?writev?2?|pwrite64|sendto|sendmsg)$/.test(call.name);
  const steps: [string, (call: TracedCall) => boolean][] = [
    ["read", ({ name, text }) => /^(read|recv)/.test(name) && text.includes("<TCP") && text.includes(marker)],
    ["data", (call) => isWrite(call) && onFile(call) && !isRoot(call) && call.text.includes(marker)],
    ["sync", (call) => /^(fdatasync|fsync)$/.test(call.name) && onFile(call) && / = 0$/.test(call.text)],
    ["root", (call) => isWrite(call) && isRoot(call) && !/ = -1/.test(call.text)],
    ["puback", (call) => isWrite(call) && call.text.includes("<TCP") && call.text.includes(puback)],
  ];
  const found: string[] = [];
  let at = -1;
  for (const [name, isStep] of steps) {
    const call = traced.find((each) => each.beganAt > at && isStep(each));
    if (!call) continue;
    found.push(name);
    at = call.endedAt;
  }
  return found;
}
