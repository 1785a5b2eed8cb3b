import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import pino from "pino";
import { identifyProcess, type ProcessIdentity } from "../../../../devices/protocol/process-identity.ts";
import type { GatewayConfig } from "../../../../gateway/config/load-config.ts";
import { holdsOpen, identifyFile } from "../../../../gateway/data-folder/folder-identity.ts";
import type { FromChild } from "../../../../gateway/processes/messages.ts";
import { SupervisedChild } from "../../../../gateway/supervisor/supervised-child.ts";
import { longestWaitMs } from "../../../support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-child-"));
const folderDescriptor = openSync(folder, "r");
after(() => {
  closeSync(folderDescriptor);
  rmSync(folder, { recursive: true, force: true });
});

/** Writes a program that runs `onMessage` for each message from its supervisor. */
function childProgram(name: string, onMessage: string): string {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(
    file,
    `const answer = (message) => process.send(message);
     process.on("disconnect", () => process.exit(1));
     process.on("message", (message) => { ${onMessage} });`,
  );
  return file;
}

function supervised(
  t: TestContext,
  program: string,
  record: (identity: ProcessIdentity | null) => void = () => {},
  silenceMs = 600_000,
) {
  const messages: FromChild[] = [];
  const logged: { level: number; event: string }[] = [];
  const identities: (ProcessIdentity | null)[] = [];
  const child = new SupervisedChild({
    role: "broker",
    config: { supervision: { silenceMs } } as GatewayConfig,
    program,
    folderDescriptor,
    logger: pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) }),
    random: () => 0,
    now: Date.now,
    onProcess: (identity) => {
      record(identity);
      identities.push(identity);
    },
    onMessage: (message) => messages.push(message),
    onChange: () => {},
    onHang: () => {},
  });
  t.after(() => child.kill());
  child.start();
  const until = async (condition: () => boolean): Promise<void> => {
    for (const endMs = performance.now() + longestWaitMs; !condition(); await delay(25))
      assert.ok(performance.now() < endMs, `waited in vain in ${JSON.stringify(child.status)}`);
  };
  const told = () =>
    logged.filter(({ event }) => event !== "child.started").map((line) => [line.level, line.event]);
  return { child, messages, identities, until, told };
}

const readyOnStart = 'if (message.type === "start") answer({ type: "ready", listening: "127.0.0.1:7" });';

describe("supervised child", () => {
  test("it starts work only after its process is on record, and restarts on its address whenever it ends", async (t) => {
    const program = childProgram(
      "steady",
      `if (message.type === "start") { ${readyOnStart} answer({ type: "answer", id: 0, answer: message.listening }); }`,
    );
    const { child, messages, identities, until } = supervised(t, program);
    await until(() => child.status.state === "ready");
    const pid = child.status.pid as number;
    assert.deepEqual(identities, [identifyProcess(pid)]);
    const place = identifyFile(folder);
    assert.ok(place && holdsOpen(pid, [place]) === "held", "it has its folder open");
    const told = () => messages.flatMap((message) => (message.type === "answer" ? [message.answer] : []));
    // It answers after it is ready: a process that is killed in between never answers.
    await until(() => told().length === 1);
    process.kill(pid, "SIGKILL");
    await until(() => child.status.state === "ready" && child.status.pid !== pid);
    assert.equal(child.status.restarts, 1);
    assert.deepEqual(child.status.lastExit?.signal, "SIGKILL");
    assert.equal(identities.length, 3);
    assert.equal(identities[1], null);
    await until(() => told().length >= 2);
    assert.deepEqual(told(), [null, "127.0.0.1:7"]);
  });

  test("a child that hangs is killed, counted and restarted; a child that starts slowly is not", async (t) => {
    const alive = 'setInterval(() => process.send({ type: "alive" }), 50)';
    const program = childProgram(
      "hanging",
      `if (message.type === "start") setTimeout(() => {
         ${readyOnStart} ${alive};
         if (message.listening === null) setTimeout(() => { for (;;); }, 2_000);
       }, 1_500);`,
    );
    const { child, until } = supervised(t, program, () => {}, 1_000);
    await until(() => child.status.state === "ready");
    const { pid } = child.status;
    await until(() => child.status.state === "ready" && child.status.pid !== pid);
    const { hangs, restarts, lastExit } = child.status;
    assert.deepEqual([hangs, restarts, lastExit?.signal], [1, 1, "SIGKILL"]);
    await until(() => child.status.silentForMs < 500);
  });

  test("a child that ends and recovers within seconds is a warning, and its recovery is logged", async (t) => {
    const { child, until, told } = supervised(t, childProgram("mending", readyOnStart));
    await until(() => child.status.state === "ready");
    assert.deepEqual(told(), []);
    process.kill(child.status.pid as number, "SIGKILL");
    await until(() => child.status.restarts === 1 && child.status.state === "ready");
    assert.deepEqual(told(), [
      [40, "child.ended"],
      [30, "child.recovered"],
    ]);
  });

  test("a child that can't be put on record never starts work, and is retried", async (t) => {
    let attempts = 0;
    const program = childProgram("eager", readyOnStart);
    const { child, messages, until } = supervised(t, program, (identity) => {
      if (identity && attempts++ < 2) throw new Error("no space left");
    });
    await until(() => child.status.state === "ready");
    assert.equal(attempts, 3);
    assert.equal(child.status.restarts, 2);
    assert.equal(messages.length, 1, "the first two never got to say anything");
  });

  test("the reason of a refusal is kept until the child is ready or ends for another reason", async (t) => {
    const refusal = '{ code: "STREAM_GAP", message: "gone", retryable: false }';
    const program = childProgram(
      "refusing",
      `process.send({ type: "refused", refusal: ${refusal} }, () => process.exit(3));`,
    );
    const { child, until, told } = supervised(t, program);
    await until(() => child.status.restarts >= 2);
    assert.deepEqual(told()[0], [50, "child.ended"], "it waits for somebody");
    assert.equal(child.status.refusal?.code, "STREAM_GAP");
    assert.equal(child.status.lastExit?.code, 3);
  });

  test("a request to a child that is not ready, does not answer, refuses or ends is never left open", async (t) => {
    const program = childProgram(
      "moody",
      `${readyOnStart}
       if (message.kind === "metrics") answer({ type: "failure", id: message.id, refusal: { code: "STREAM_NO_GAP", message: "none", retryable: false } });
       if (message.kind === "topicsChanged") process.exit(0);`,
    );
    const { child, until } = supervised(t, program);
    await assert.rejects(child.request("status", null, 1_000), {
      code: "CHILD_UNREACHABLE",
      retryable: true,
    });
    await until(() => child.status.state === "ready");
    await assert.rejects(child.request("status", null, 50), {
      code: "CHILD_UNREACHABLE",
      message: /did not answer/,
    });
    await assert.rejects(child.request("metrics", null, 10_000), { code: "STREAM_NO_GAP", retryable: false });
    await assert.rejects(child.request("topicsChanged", null, 10_000), {
      code: "CHILD_UNREACHABLE",
      message: /ended/,
    });
  });

  test("messages to a child that a signal has stopped are bounded", async (t) => {
    const echo =
      'if (message.type === "committed") answer({ type: "answer", id: 0, answer: message.committed.positions[0] });';
    const { child, messages, until } = supervised(t, childProgram("frozen", `${readyOnStart} ${echo}`));
    await until(() => child.status.state === "ready");
    process.kill(child.status.pid as number, "SIGSTOP");
    const ask = "x".repeat(10_000);
    const requests = Array.from({ length: 500 }, () => child.request("deviceRevoked", ask, 500));
    const reasons = (await Promise.allSettled(requests)).map((request) =>
      request.status === "rejected" ? String(request.reason.message) : "",
    );
    assert.ok(reasons.every((reason) => /not answer/.test(reason)));
    assert.ok(
      reasons.filter((reason) => /does not answer/.test(reason)).length > 300,
      "most were not even sent",
    );

    for (let position = 0; position < 1_000; position++)
      child.committed({ streamId: "s", positions: { 0: String(position) } });
    const { pid } = child.status;
    process.kill(pid as number, "SIGKILL");
    await until(() => child.status.state === "ready" && child.status.pid !== pid);
    child.committed({ streamId: "s", positions: { 0: "1000" } });
    const answers = () => messages.flatMap((message) => (message.type === "answer" ? [message.answer] : []));
    await until(() => answers().includes("1000"));
    assert.deepEqual(answers(), ["1000"], "a new process reads older positions from the lake");
  });

  test("stop waits for the child's work, kills it after the time-out, and does not restart it", async (t) => {
    const polite = supervised(
      t,
      childProgram(
        "polite",
        `${readyOnStart} if (message.type === "stop") setTimeout(() => process.exit(0), 50);`,
      ),
    );
    const deaf = supervised(t, childProgram("deaf", readyOnStart));
    for (const { child, until } of [polite, deaf]) await until(() => child.status.state === "ready");
    assert.equal(await polite.child.stop(10_000), true);
    assert.equal(await deaf.child.stop(100), false);
    assert.equal(deaf.child.status.lastExit?.signal, "SIGKILL");
    await delay(200);
    assert.deepEqual([polite.child.status.state, deaf.child.status.state], ["stopped", "stopped"]);
    assert.equal(await deaf.child.stop(100), true, "a second stop has no effect");
  });
});
