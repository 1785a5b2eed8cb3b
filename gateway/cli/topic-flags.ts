import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { GatewayError } from "../errors.ts";
import { durationExamples, durationMsOf, durationText } from "../input/duration.ts";
import { fileFault } from "../input/file-fault.ts";
import { faultText } from "../input/input-faults.ts";
import { jsonTextFault } from "../input/json-text.ts";
import { lostNumbers } from "../input/lost-numbers.ts";
import type { ShownTopic, TopicInput } from "../registry/topic-definition.ts";
import { exactFormatText, formatText, pathFormatText } from "../registry/topic-formats.ts";
import type { FlagNames } from "./api-faults.ts";
import { addDataOptions, type ConfigFlags } from "./config-options.ts";

/** The value of `--retain` that ends the retention. */
export const forever = "forever";

/** The flags that define a topic, as texts. */
export interface TopicFlags extends ConfigFlags {
  readonly json?: boolean;
  readonly filter?: string;
  readonly format?: string;
  readonly idPath?: string;
  readonly timePath?: string;
  readonly schema?: string;
  readonly maxPayloadBytes?: string;
  readonly qos?: string;
  readonly dedupe?: string;
  readonly dedupeWindow?: string;
  readonly eventPast?: string;
  readonly eventAhead?: string;
  readonly retain?: string;
  readonly publishers?: string;
  readonly subscribers?: string;
  readonly rate?: string;
}

export function addDefinitionOptions(command: Command): Command {
  return addDataOptions(command)
    .option(
      "--filter <filter>",
      "MQTT filter with named levels, e.g. 'plant/{device}/engine'; if filters overlap (mqtt.plainFilters included), names belong to the most specific one",
    )
    .option("--format <format>", formatText)
    .option("--id-path <path>", `${pathFormatText}: path of the message id (default: id)`)
    .option("--time-path <path>", `${pathFormatText}: path of the event time (default: ts)`)
    .option("--schema <file>", "JSON Schema file; its scalar properties become typed columns")
    .option("--max-payload-bytes <bytes>", "largest payload (default: 131072)")
    .option("--qos <list>", "allowed QoS, e.g. 0,1 (default: 0,1,2)")
    .option("--dedupe-window <seconds>", "how long ids are remembered, in stream time (default: 3600)")
    .option(
      "--dedupe <mode>",
      `window, or exact: ids of the SDK are never forgotten, for the format ${exactFormatText} (default: window)`,
    )
    .option(
      "--event-past <time>",
      "how far before the ingest time an event time may be; rows beyond are flagged and filed by their ingest time (default: 7d)",
    )
    .option("--event-ahead <time>", "the same after the ingest time (default: 1h)")
    .option(
      "--retain <time>",
      "how long rows stay in the table after the end of their event hour, such as 400d; older hours are removed (default: forever)",
    )
    .option("--publishers <list>", "identities that may publish, names or prefixes ending in * (default: *)")
    .option("--subscribers <list>", "identities that may subscribe (default: *)")
    .option("--rate <msgs-per-s>", "maximum messages per second of one connection (default: none)");
}

const boundText = `give a time from 1m to 3650d, which is 10 years, such as ${durationExamples}`;

/** The names of a definition's fields on the command line. */
export const flagNames: FlagNames = {
  name: "the name",
  filter: "--filter",
  format: "--format",
  idPath: "--id-path",
  timePath: "--time-path",
  schema: "--schema",
  maxPayloadBytes: "--max-payload-bytes",
  allowedQos: "--qos",
  dedupeWindowMs: {
    flag: "--dedupe-window",
    mend: "give seconds from 1 to 604800, which is 7 days",
    text: (ms) => String(ms / 1_000),
  },
  dedupe: "--dedupe",
  eventPastMs: { flag: "--event-past", mend: boundText, text: durationText },
  eventAheadMs: { flag: "--event-ahead", mend: boundText, text: durationText },
  retentionMs: {
    flag: "--retain",
    mend: `give a time from 1d to 36500d, which is 100 years, such as 400d, or ${forever}`,
    text: durationText,
  },
  publishers: "--publishers",
  subscribers: "--subscribers",
  messagesPerSecond: "--rate",
};

type Mutable<Type> = { -readonly [Key in keyof Type]?: Type[Key] };

export function filesOfFlags({ schema }: TopicFlags): Record<string, string> {
  return schema === undefined ? {} : { schema: `--schema ${schema}` };
}

/** The values of the flags. The gateway checks their types, because it knows the limits. */
export function inputOfFlags(flags: TopicFlags): Mutable<TopicInput> {
  const input: Record<string, unknown> = {};
  const set = (key: string, value: unknown): void => {
    if (value !== undefined) input[key] = value;
  };
  set("filter", flags.filter);
  set("format", flags.format);
  set("idPath", flags.idPath);
  set("timePath", flags.timePath);
  set("schema", flags.schema === undefined ? undefined : readSchema(flags.schema));
  set("maxPayloadBytes", numberOf(flags.maxPayloadBytes, "--max-payload-bytes"));
  set(
    "allowedQos",
    listOf(flags.qos)?.map((qos) => numberOf(qos, "--qos")),
  );
  const seconds = numberOf(flags.dedupeWindow, "--dedupe-window");
  set("dedupeWindowMs", seconds === undefined ? undefined : seconds * 1_000);
  set("dedupe", flags.dedupe);
  set("eventPastMs", durationOf(flags.eventPast, "--event-past"));
  set("eventAheadMs", durationOf(flags.eventAhead, "--event-ahead"));
  const retainExamples = `1d, 400d, or ${forever}`;
  set("retentionMs", flags.retain === forever ? null : durationOf(flags.retain, "--retain", retainExamples));
  set("publishers", listOf(flags.publishers));
  set("subscribers", listOf(flags.subscribers));
  set("messagesPerSecond", flags.rate === "none" ? null : numberOf(flags.rate, "--rate"));
  return input as Mutable<TopicInput>;
}

export function inputOfRecord(record: ShownTopic): TopicInput {
  const { name, filter, format, schema, maxPayloadBytes, dedupeWindowMs, messagesPerSecond } = record;
  const paths = record.idPath === "" ? {} : { idPath: record.idPath, timePath: record.timePath };
  return {
    name,
    filter,
    format,
    ...paths,
    schema,
    maxPayloadBytes,
    allowedQos: [...record.allowedQos],
    dedupeWindowMs,
    ...(record.dedupe && { dedupe: record.dedupe }),
    eventPastMs: record.eventPastMs,
    eventAheadMs: record.eventAheadMs,
    // Left out for a gateway that was not restarted since an upgrade.
    ...(typeof record.retentionMs === "number" && { retentionMs: record.retentionMs }),
    publishers: [...record.publishers],
    subscribers: [...record.subscribers],
    messagesPerSecond,
  };
}

function readSchema(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw usage(`--schema ${file}: ${fileFault(error)}`);
  }
  const fault = jsonTextFault(text);
  if (fault !== null) throw usage(`--schema ${file}: this is not JSON: ${fault}`);
  const lost = lostNumbers(text).map((number) => faultText(number));
  if (lost.length > 0) throw usage(`--schema ${file}: ${lost.join("; ")}`);
  return JSON.parse(text) as unknown;
}

function listOf(text: string | undefined): string[] | undefined {
  return text
    ?.split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function numberOf(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d+(\.\d+)?$/.test(text)) throw usage(`${flag} ${text}: give a number`);
  return Number(text);
}

function durationOf(
  text: string | undefined,
  flag: string,
  examples: string = durationExamples,
): number | undefined {
  if (text === undefined) return undefined;
  const ms = durationMsOf(text);
  if (ms === null) throw usage(`${flag} ${text}: give a whole number with a unit, such as ${examples}`);
  return ms;
}

export function usage(fault: string): GatewayError {
  return new GatewayError("USAGE_INVALID", `${fault}.`, { retryable: false });
}
