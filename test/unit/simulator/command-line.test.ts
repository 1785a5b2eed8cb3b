import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createProgram, runCommandLine } from "../../../simulator/command/commands.ts";
import { readOptions } from "../../../simulator/command/option-schema.ts";
import { simulateOptions } from "../../../simulator/command/simulate-command.ts";
import type { ExitCode, Terminal } from "../../../simulator/command/terminal.ts";
import { type SimulateConfig, simulateSchema } from "../../../simulator/config.ts";
import { LedgerWriter, prepareLedgerFolder } from "../../../simulator/ledger/ledger-writer.ts";
import { gatewayArguments } from "../../support/programs.ts";
import { scenarioOf } from "./scenario-of.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-command-"));
after(() => rmSync(root, { recursive: true, force: true }));

async function run(...argv: string[]): Promise<{ code: ExitCode; stdout: string; stderr: string }> {
  const texts = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr") =>
    ({ write: (text: string) => (texts[name] += text) }) as unknown as NodeJS.WriteStream;
  const terminal: Terminal = {
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    stop: new AbortController().signal,
    gateway: gatewayArguments().at(-1) ?? "",
  };
  return { code: await runCommandLine(argv, terminal), ...texts };
}

const ledger = join(root, "ledger");

test("wrong usage of simulate names the fault, its place, and the right form", async () => {
  const cases: [string[], RegExp][] = [
    [["--rate", "abc"], /^--rate abc: give a number above 0 .*for example --rate 16700$/m],
    [["--rate", "0"], /--rate 0: give a number above 0/],
    [["--devices", "10.5"], /--devices 10.5: give a whole number from 1 to 10000000/],
    [["--devices", "0x10"], /--devices 0x10/],
    [["--qos", "3"], /--qos 3: give a whole number from 0 to 2/],
    [["--format", "raw"], /--format raw: choose json or envelope/],
    [["--mqtt", "mqtts://host:1883"], /--mqtt mqtts:.*mqtt:\/\/HOST:PORT/],
    [["--mqtt", "mqtt://user:pw@host"], /give credentials with --username/],
    [["--devices", "5", "--connections", "6"], /--connections 6: more than --devices 5/],
    [
      ["--topic", "plant/telemetry", "--devices", "5", "--connections", "2"],
      /no level \{device\}.*use --connections 5/,
    ],
    [["--topic", "a/#/b"], /--topic: .*# must be the last level/],
    [
      ["--topic", "plant/x", "--username", "u", "--password-file", keyFile("key")],
      /must have a level \{device\}/,
    ],
    [["--payload-bytes", "10"], /--payload-bytes 10: .*at least \d+ bytes.*--format envelope/],
    [["--username", "u"], /--username and --password-file go together/],
    [["--username", "u", "--password-file", join(root, "none")], /--password-file .*can't be read/],
    [
      ["--faults", "fire"],
      /--faults fire: "fire" is not a fault: choose from disconnect, takeover, .*, clock, topics, or all/,
    ],
    [["--mix", "fire"], /--mix fire: "fire" is not a part of a mix: choose from qos0, qos2, .*, or all/],
    [["--mix", "typed=2"], /the share of typed is "2"/],
    [["--mix", "typed=0.5,raw=0.6"], /typed, envelope and raw together are more than all messages/],
    [["--mix", "qos0=0.5,qos2=0.6"], /qos0 and qos2 together are more than all messages/],
    [["--mix", "envelope", "--format", "envelope"], /all messages are envelopes already/],
    [
      ["--mix", "big,will", "--topic", "plant/telemetry", "--devices", "5", "--connections", "5"],
      /--mix big,will: .*must have a level \{device\}/,
    ],
    [["--faults", "topics"], /--faults topics: it needs --api and --token-file/],
    [["--api", "http://127.0.0.1:1"], /--api and --token-file go together/],
    [["--api", "127.0.0.1:1", "--token-file", keyFile("token")], /--api 127.0.0.1:1: it must be http:/],
    [["--api", "http://127.0.0.1:1", "--token-file", join(root, "none")], /--token-file .*can't be read/],
    [["--topic-window", "0"], /--topic-window 0/],
    [["--faults", "poison=2"], /the share of poison is "2"/],
    [["--rate", "10000000", "--duration", "1000"], /more than 2147483647 messages/],
    [["--seed", "-1"], /--seed -1/],
    [["--bogus"], /unknown option '--bogus'/],
    [["extra"], /too many arguments/],
  ];
  for (const [argv, expected] of cases) {
    const { code, stderr, stdout } = await run("simulate", "--ledger", ledger, ...argv);
    assert.deepEqual([code, stdout], [2, ""], argv.join(" "));
    assert.match(stderr, expected);
  }
});

test("all faults are told at once", async () => {
  const { code, stderr } = await run("simulate", "--rate", "abc", "--devices", "-1");
  assert.equal(code, 2);
  assert.match(stderr, /--ledger is missing: for example --ledger ledger/);
  assert.match(stderr, /--rate abc/);
  assert.match(stderr, /--devices -1/);
});

test("wrong usage of audit is told, and a folder that is no lake or no ledger", async () => {
  prepareLedgerFolder(ledger, true);
  new LedgerWriter(ledger, { startedAtMs: 1, mqttUrl: "mqtt://x", scenario: scenarioOf() }).close();
  const cases: [string[], RegExp][] = [
    [["--ledger", ledger], /--lake is missing: for example --lake file:data\/lake/],
    [["--ledger", ledger, "--lake", "data/lake"], /--lake data\/lake: it must be file:DIR/],
    [["--ledger", ledger, "--lake", `file:${join(root, "none")}`], /there is no folder/],
    [["--ledger", join(root, "none"), "--lake", `file:${root}`], /holds no run's ledger/],
    [["--ledger", ledger, "--lake", `file:${root}`, "--wait", "soon"], /--wait soon: give a number/],
  ];
  for (const [argv, expected] of cases) {
    const { code, stderr } = await run("audit", ...argv);
    assert.equal(code, 2, argv.join(" "));
    assert.match(stderr, expected);
  }
});

test("wrong usage of prove is told in full, as a text and as JSON, before anything is started", async () => {
  const used = join(root, "used");
  mkdirSync(used);
  writeFileSync(join(used, "rows.parquet"), "");
  const streams = "embedded:, redis://HOST:PORT/DB or kinesis://REGION/STREAM";
  const cases: [code: string, argv: string[], says: string][] = [
    ["PROVE_USAGE", ["--rounds", "0"], "--rounds 0: give a whole number from 1 to 2147483648."],
    ["PROVE_USAGE", ["--stream", "--lake"], "--stream is missing its value: --lake follows it."],
    ["PROVE_USAGE", ["--only", "flush"], "--only flush: this proof has no target for such a strike."],
    [
      "PROVE_USAGE",
      ["--lake", `file:${used}`],
      `--lake file:${used} is not empty: it holds rows.parquet. A proof needs an empty place: name another one.`,
    ],
    [
      "PROVE_USAGE",
      ["--stream", "kinesis:", "--rounds", "1"],
      "--rounds: a proof on Kinesis needs at least 2, one with a split and one with a merge.",
    ],
    [
      "CONFIG_INVALID",
      ["--stream", "redsi://h"],
      `The configuration has 1 fault:\n  stream.url is "redsi://h" (--stream); expected ${streams}; it names no backend here: use ${streams}`,
    ],
    ["USAGE", ["--roundz", "3"], "unknown option '--roundz': did you mean --rounds?"],
    ["USAGE", ["--frob"], "unknown option '--frob': `tidegate prove --help` shows its arguments."],
  ];
  for (const [code, argv, says] of cases) {
    const { code: exit, stderr, stdout } = await run("prove", ...argv, "--json");
    assert.deepEqual([exit, stderr], [2, `${says}\n`], argv.join(" "));
    const { error } = JSON.parse(stdout);
    assert.deepEqual([error.code, error.message], [code, says], argv.join(" "));
  }
});

test("every option of prove suggests itself if a letter of it is missing", async () => {
  const options =
    createProgram({} as Terminal, () => {}).commands.find((each) => each.name() === "prove")?.options ?? [];
  const long = options.flatMap((option) => ((option.long ?? "").length < 7 ? [] : [option.long ?? ""]));
  assert.ok(long.length >= 5, String(long.length));
  for (const flag of long) {
    const typo = `${flag.slice(0, 3)}${flag.slice(4)}`;
    const { stderr } = await run("prove", typo);
    assert.match(stderr, new RegExp(`^unknown option '${typo}': did you mean .*${flag}`));
  }
});

test("a used ledger folder is wrong usage, before anything is connected", async () => {
  prepareLedgerFolder(ledger, true);
  new LedgerWriter(ledger, {
    startedAtMs: 1,
    mqttUrl: "mqtt://x",
    scenario: scenarioOf({ runId: "BBBBBBBBBBB" }),
  }).close();
  const { code, stderr } = await run("simulate", "--ledger", ledger);
  assert.equal(code, 2);
  assert.match(stderr, /holds the ledger of another run: name a new folder, or .*--append/);
});

test("--json prints one object as the last line of standard output, also for failures", async () => {
  const unreachable = await run(
    "simulate",
    "--ledger",
    join(root, "a"),
    "--mqtt",
    "mqtt://127.0.0.1:1",
    "--connect-wait",
    "0.1",
    "--json",
  );
  assert.equal(unreachable.code, 1);
  const { error } = JSON.parse(unreachable.stdout.trimEnd().split("\n").at(-1) ?? "");
  assert.equal(error.code, "SIMULATE_UNREACHABLE");
  assert.equal(unreachable.stderr.includes(error.message), true);
  const codes = [
    await run("simulate", "--rate", "abc", "--json"),
    await run("audit", "--wait", "soon", "--json"),
    await run("audit", "--bogus", "--json"),
  ].map(({ code, stdout }) => [code, JSON.parse(stdout).error.code]);
  assert.deepEqual(codes, [
    [2, "SIMULATE_USAGE"],
    [2, "AUDIT_USAGE"],
    [2, "USAGE"],
  ]);
  const empty = await run("audit", "--ledger", ledger, "--lake", `file:${root}`, "--wait", "0", "--json");
  const result = JSON.parse(empty.stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
  assert.equal(empty.code, 1);
  for (const name of [
    "sent",
    "acked",
    "stored",
    "quarantined",
    "lost",
    "duplicated",
    "phantom",
    "altered",
    "unackedStored",
  ])
    assert.equal(result[name], 0, name);
  assert.equal(result["isProven"], false);
});

test("help has examples and exits with 0", async () => {
  for (const [name, expected] of [
    ["simulate", /tidegate simulate --devices 10000/],
    ["audit", /tidegate audit --ledger ledger --lake/],
  ] as const) {
    const { code, stdout } = await run(name, "--help");
    assert.equal(code, 0);
    assert.match(stdout, expected);
    assert.match(stdout, /Exit code/);
    if (name === "simulate")
      assert.match(stdout, /takeover=0.01 +of the connections.*\n(.*\n)+.*sleepy=0.002 +of the messages/);
  }
  assert.equal((await run()).code, 2);
  assert.equal((await run("fly")).code, 2);
});

function configOf(...argv: string[]): SimulateConfig {
  const given: Record<string, unknown> = { ledger };
  for (let at = 0; at < argv.length; at += 2) given[argv[at] ?? ""] = argv[at + 1];
  const read = readOptions(simulateSchema, given);
  assert.ok("values" in read, JSON.stringify(read));
  return read.values as SimulateConfig;
}

test("missing options get their values from the given ones", () => {
  const plain = simulateOptions(configOf());
  assert.deepEqual(
    [plain.scenario.devices, plain.scenario.connections, plain.scenario.qos, plain.window, plain.gateways],
    [1000, 100, 1, 20, [{ host: "127.0.0.1", port: 1883 }]],
  );
  assert.equal(plain.scenario.filter, "fleet/{device}/telemetry");
  assert.equal(simulateOptions(configOf("format", "envelope")).scenario.filter, "fleet/{device}/envelope");
  assert.equal(simulateOptions(configOf("devices", "7")).scenario.connections, 7);
  assert.deepEqual(simulateOptions(configOf("faults", "late, poison=0.5")).scenario.faults, {
    late: 0.01,
    poison: 0.5,
  });
  assert.equal(simulateOptions(configOf("mqtt", "mqtt://[::1]:9")).gateways[0]?.host, "::1");
  assert.deepEqual(simulateOptions(configOf("mqtt", "mqtt://a, mqtt://b:2")).gateways, [
    { host: "a", port: 1883 },
    { host: "b", port: 2 },
  ]);
  assert.notEqual(plain.scenario.runId, simulateOptions(configOf()).scenario.runId);
  assert.notEqual(plain.scenario.seed, simulateOptions(configOf()).scenario.seed);
});

test("a key file's line end is no part of the key", () => {
  const options = simulateOptions(configOf("username", "plant-1", "passwordFile", keyFile("key")));
  assert.deepEqual([options.username, Buffer.from(options.password ?? []).toString()], ["plant-1", "key"]);
});

function keyFile(name: string): string {
  const file = join(root, name);
  writeFileSync(file, `${name}\n`);
  return file;
}
