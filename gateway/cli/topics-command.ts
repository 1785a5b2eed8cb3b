import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { eventTimeBoundsOf } from "../../bridge/topics/index.ts";
import { GatewayError } from "../errors.ts";
import { durationExamples, durationMsOf, durationText } from "../input/duration.ts";
import { fileFault } from "../input/file-fault.ts";
import { faultText } from "../input/input-faults.ts";
import { jsonTextFault } from "../input/json-text.ts";
import { lostNumbers } from "../input/lost-numbers.ts";
import type { ShownTopic, TopicInput } from "../registry/topic-definition.ts";
import { exactFormatText, formatText, pathFormatText } from "../registry/topic-formats.ts";
import type { FlagNames } from "./api-faults.ts";
import { apiOf, type CommandEnvironment, runAction } from "./command-context.ts";
import { addDataOptions, type ConfigFlags } from "./config-options.ts";
import { textTable } from "./text-table.ts";

interface TopicFlags extends ConfigFlags {
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
  readonly publishers?: string;
  readonly subscribers?: string;
  readonly rate?: string;
}

export function addTopicsCommand(program: Command, environment: CommandEnvironment): void {
  const topics = program.command("topics").description("create, list, show, update and delete topics");
  addCreate(topics, environment);
  addUpdate(topics, environment);
  addList(topics, environment);
  addShow(topics, environment);
  addDelete(topics, environment);
}

function addDefinitionOptions(command: Command): Command {
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
    .option("--publishers <list>", "identities that may publish, names or prefixes ending in * (default: *)")
    .option("--subscribers <list>", "identities that may subscribe (default: *)")
    .option("--rate <msgs-per-s>", "maximum messages per second of one connection (default: none)");
}

const examples = {
  filter: "an MQTT filter such as 'plant/{device}/engine'",
  format: formatText,
};

function addCreate(topics: Command, environment: CommandEnvironment): void {
  const command = addDefinitionOptions(topics.command("create <name>").description("create a topic"));
  runAction<TopicFlags>(command, environment, async ({ output, flags, args }) => {
    const body = { name: args[0], ...inputOfFlags(flags) };
    for (const needed of ["filter", "format"] as const)
      if (body[needed] === undefined) throw usage(`--${needed} is missing: give ${examples[needed]}`);
    const answer = await apiOf(flags, environment).send<TopicAnswer>({
      method: "POST",
      path: "/v1/topics",
      body,
      names,
      files: filesOfFlags(flags),
    });
    const what = answer.created ? "created" : "exists already with this definition";
    output.result(answer, `Topic ${answer.topic.name} ${what} (version ${answer.topic.version}).`);
    return undefined;
  });
}

function addUpdate(topics: Command, environment: CommandEnvironment): void {
  const command = addDefinitionOptions(
    topics
      .command("update <name>")
      .description("change a topic: options that are not given stay as they are"),
  );
  runAction<TopicFlags>(command, environment, async ({ output, flags, args }) => {
    const api = apiOf(flags, environment);
    const path = `/v1/topics/${encodeURIComponent(args[0] ?? "")}`;
    const { topic } = await api.send<TopicAnswer>({ method: "GET", path });
    const body = { ...inputOfRecord(topic), ...inputOfFlags(flags) };
    const files = filesOfFlags(flags);
    const answer = await api.send<TopicAnswer>({ method: "PUT", path, body, names, files });
    const what = answer.created ? "updated" : "has this definition already";
    output.result(answer, `Topic ${answer.topic.name} ${what} (version ${answer.topic.version}).`);
    return undefined;
  });
}

interface TopicAnswer {
  readonly topic: ShownTopic;
  readonly created: boolean;
}

/** A gateway that was not restarted since an upgrade judges by the defaults, and does not tell them. */
function boundTexts(topic: Partial<ShownTopic>): string[] {
  const { pastMs, aheadMs } = eventTimeBoundsOf(topic);
  return [durationText(pastMs), durationText(aheadMs)];
}

const listHeader = ["name", "filter", "format", "version", "event past", "event ahead", "state"];

function addList(topics: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(topics.command("list").description("list topics")).option(
    "--deleted",
    "also deleted topics",
  );
  runAction<TopicFlags & { deleted?: boolean }>(command, environment, async ({ output, flags }) => {
    const path = `/v1/topics?deleted=${flags.deleted === true}`;
    const answer = await apiOf(flags, environment).send<{ topics: ShownTopic[] }>({ method: "GET", path });
    const rows = answer.topics.map((topic) => [
      topic.name,
      topic.filter,
      topic.format,
      topic.version,
      ...boundTexts(topic),
      topic.deleted ? "deleted" : "live",
    ]);
    output.result(answer, textTable(listHeader, rows));
    return undefined;
  });
}

function addShow(topics: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(topics.command("show <name>").description("show a topic"));
  runAction<TopicFlags>(command, environment, async ({ output, flags, args }) => {
    const path = `/v1/topics/${encodeURIComponent(args[0] ?? "")}`;
    const answer = await apiOf(flags, environment).send<{ topic: ShownTopic }>({ method: "GET", path });
    output.result(answer, JSON.stringify(answer.topic, null, 2));
    return undefined;
  });
}

function addDelete(topics: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(
    topics
      .command("delete <name>")
      .description("stop accepting messages; messages in the stream are still filed"),
  ).option(
    "--purge",
    "refused: a table can't be removed safely, because duplicates are recognised by its files",
  );
  runAction<TopicFlags & { purge?: boolean }>(command, environment, async ({ output, flags, args }) => {
    const path = `/v1/topics/${encodeURIComponent(args[0] ?? "")}?purge=${flags.purge === true}`;
    const answer = await apiOf(flags, environment).send<TopicAnswer>({ method: "DELETE", path });
    output.result(answer, `Topic ${answer.topic.name} accepts no more messages; its table stays.`);
    return undefined;
  });
}

const boundText = `give a time from 1m to 3650d, which is 10 years, such as ${durationExamples}`;

/** The names of a definition's fields on the command line. */
const names: FlagNames = {
  name: "the name",
  filter: "--filter",
  format: "--format",
  idPath: "--id-path",
  timePath: "--time-path",
  schema: "--schema",
  maxPayloadBytes: "--max-payload-bytes",
  allowedQos: "--qos",
  dedupeWindowMs: { flag: "--dedupe-window", mend: "give seconds from 1 to 604800, which is 7 days" },
  dedupe: "--dedupe",
  eventPastMs: { flag: "--event-past", mend: boundText },
  eventAheadMs: { flag: "--event-ahead", mend: boundText },
  publishers: "--publishers",
  subscribers: "--subscribers",
  messagesPerSecond: "--rate",
};

type Mutable<Type> = { -readonly [Key in keyof Type]?: Type[Key] };

function filesOfFlags({ schema }: TopicFlags): Record<string, string> {
  return schema === undefined ? {} : { schema: `--schema ${schema}` };
}

/** The values of the flags. The gateway checks their types, because it knows the limits. */
function inputOfFlags(flags: TopicFlags): Mutable<TopicInput> {
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
  set("publishers", listOf(flags.publishers));
  set("subscribers", listOf(flags.subscribers));
  set("messagesPerSecond", flags.rate === "none" ? null : numberOf(flags.rate, "--rate"));
  return input as Mutable<TopicInput>;
}

function inputOfRecord(record: ShownTopic): TopicInput {
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

function durationOf(text: string | undefined, flag: string): number | undefined {
  if (text === undefined) return undefined;
  const ms = durationMsOf(text);
  if (ms === null)
    throw usage(`${flag} ${text}: give a whole number with a unit, such as ${durationExamples}`);
  return ms;
}

function usage(fault: string): GatewayError {
  return new GatewayError("USAGE_INVALID", `${fault}.`, { retryable: false });
}
