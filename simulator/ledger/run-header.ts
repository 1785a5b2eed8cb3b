import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { SimulatorError } from "../errors.ts";
import { faultNames } from "../scenario/faults.ts";
import { mixNames } from "../scenario/mix.ts";
import { messagesMax, type Scenario, totalMessages } from "../scenario/scenario.ts";

export const headerFile = "run.json";
export const eventsFile = "events";
export const runFolderPrefix = "run-";

/** The version that is written now. */
const version = 2;

const share = Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 }));

function sharesOf(names: readonly string[]) {
  return Type.Object(Object.fromEntries(names.map((name) => [name, share])), { additionalProperties: false });
}

const headerSchema = Type.Object({
  ledger: Type.Literal("tidegate"),
  /** 1 = written before there was a mix. */
  version: Type.Union([Type.Literal(1), Type.Literal(version)]),
  /** Start of the run, whole ms since the Unix epoch, by the simulator's clock. */
  startedAtMs: Type.Integer({ minimum: 0 }),
  startedAt: Type.String(),
  /** The address of the gateway, without credentials. */
  mqttUrl: Type.String(),
  scenario: Type.Object({
    runId: Type.String({ pattern: "^[A-Za-z0-9_-]{11}$" }),
    seed: Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 }),
    devices: Type.Integer({ minimum: 1 }),
    connections: Type.Integer({ minimum: 1 }),
    burst: Type.Integer({ minimum: 1 }),
    rate: Type.Number({ exclusiveMinimum: 0 }),
    durationS: Type.Number({ exclusiveMinimum: 0 }),
    payloadBytes: Type.Integer({ minimum: 0 }),
    qos: Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)]),
    format: Type.Union([Type.Literal("json"), Type.Literal("envelope")]),
    filter: Type.String({ minLength: 1 }),
    faults: sharesOf(faultNames),
    mix: Type.Optional(sharesOf(mixNames)),
  }),
});

/** The head of one run's ledger. Every message of the run can be made from it. */
export interface RunHeader {
  readonly startedAtMs: number;
  readonly mqttUrl: string;
  readonly scenario: Scenario;
}

export function headerText(header: RunHeader): string {
  const { startedAtMs, mqttUrl, scenario } = header;
  const content: Static<typeof headerSchema> = {
    ledger: "tidegate",
    version,
    startedAtMs,
    startedAt: new Date(startedAtMs).toISOString(),
    mqttUrl,
    scenario,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Throws LEDGER_UNREADABLE for any text that `headerText` did not write. */
export function parseHeader(text: string, file: string): RunHeader {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw unreadable(file, "it is not JSON", cause);
  }
  const written = (content as { version?: unknown } | null)?.version;
  if (typeof written === "number" && written > version)
    throw unreadable(
      file,
      `it was written by a newer simulator (version ${written}): audit it with that version`,
    );
  if (!Value.Check(headerSchema, content)) {
    const fault = Value.Errors(headerSchema, content).First();
    throw unreadable(file, `${fault?.path || "/"}: ${fault?.message ?? "it is not the head of a ledger"}`);
  }
  if (totalMessages(content.scenario) > messagesMax) throw unreadable(file, "it plans too many messages");
  return {
    startedAtMs: content.startedAtMs,
    mqttUrl: content.mqttUrl,
    scenario: content.scenario as Scenario,
  };
}

function unreadable(file: string, fault: string, cause?: unknown): SimulatorError {
  return new SimulatorError("LEDGER_UNREADABLE", `${file} can't be read as the head of a ledger: ${fault}`, {
    retryable: false,
    cause,
  });
}
