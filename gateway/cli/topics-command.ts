import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { GatewayError } from "../errors.ts";
import { fileFault } from "../input/file-fault.ts";
import { jsonTextFault } from "../input/json-text.ts";
import type { TopicInput, TopicRecord } from "../registry/topic-definition.ts";
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
    .option("--format <format>", "envelope, json or raw")
    .option("--id-path <path>", "json: path of the message id (default: id)")
    .option("--time-path <path>", "json: path of the event time (default: ts)")
    .option("--schema <file>", "JSON Schema file; its scalar properties become typed columns")
    .option("--max-payload-bytes <bytes>", "largest payload (default: 131072)")
    .option("--qos <list>", "allowed QoS, e.g. 0,1 (default: 0,1,2)")
    .option("--dedupe-window <seconds>", "how long ids are remembered, in stream time (default: 3600)")
    .option(
      "--dedupe <mode>",
      "window, or exact: ids of the SDK are never forgotten, for the format envelope (default: window)",
    )
    .option("--publishers <list>", "identities that may publish, names or prefixes ending in * (default: *)")
    .option("--subscribers <list>", "identities that may subscribe (default: *)")
    .option("--rate <msgs-per-s>", "maximum messages per second of one connection (default: none)");
}

const examples = {
  filter: "an MQTT filter such as 'plant/{device}/engine'",
  format: "envelope, json or raw",
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
    const answer = await api.send<TopicAnswer>({ method: "PUT", path, body, names });
    const what = answer.created ? "updated" : "has this definition already";
    output.result(answer, `Topic ${answer.topic.name} ${what} (version ${answer.topic.version}).`);
    return undefined;
  });
}

interface TopicAnswer {
  readonly topic: TopicRecord;
  readonly created: boolean;
}

function addList(topics: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(topics.command("list").description("list topics")).option(
    "--deleted",
    "also deleted topics",
  );
  runAction<TopicFlags & { deleted?: boolean }>(command, environment, async ({ output, flags }) => {
    const path = `/v1/topics?deleted=${flags.deleted === true}`;
    const answer = await apiOf(flags, environment).send<{ topics: TopicRecord[] }>({ method: "GET", path });
    const rows = answer.topics.map((topic) => [
      topic.name,
      topic.filter,
      topic.format,
      topic.version,
      topic.deleted ? "deleted" : "live",
    ]);
    output.result(answer, textTable(["name", "filter", "format", "version", "state"], rows));
    return undefined;
  });
}

function addShow(topics: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(topics.command("show <name>").description("show a topic"));
  runAction<TopicFlags>(command, environment, async ({ output, flags, args }) => {
    const path = `/v1/topics/${encodeURIComponent(args[0] ?? "")}`;
    const answer = await apiOf(flags, environment).send<{ topic: TopicRecord }>({ method: "GET", path });
    output.result(answer, JSON.stringify(answer.topic, null, 2));
    return undefined;
  });
}

function addDelete(topics: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(
    topics
      .command("delete <name>")
      .description("stop accepting messages; messages in the stream are still filed"),
  ).option("--purge", "remove the table as well");
  runAction<TopicFlags & { purge?: boolean }>(command, environment, async ({ output, flags, args }) => {
    const path = `/v1/topics/${encodeURIComponent(args[0] ?? "")}?purge=${flags.purge === true}`;
    const answer = await apiOf(flags, environment).send<TopicAnswer>({ method: "DELETE", path });
    output.result(answer, `Topic ${answer.topic.name} accepts no more messages; its table stays.`);
    return undefined;
  });
}

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
  publishers: "--publishers",
  subscribers: "--subscribers",
  messagesPerSecond: "--rate",
};

type Mutable<Type> = { -readonly [Key in keyof Type]?: Type[Key] };

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
  set("publishers", listOf(flags.publishers));
  set("subscribers", listOf(flags.subscribers));
  set("messagesPerSecond", flags.rate === "none" ? null : numberOf(flags.rate, "--rate"));
  return input as Mutable<TopicInput>;
}

function inputOfRecord(record: TopicRecord): TopicInput {
  const { name, filter, format, schema, maxPayloadBytes, dedupeWindowMs, messagesPerSecond } = record;
  const paths = format === "json" ? { idPath: record.idPath, timePath: record.timePath } : {};
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

function usage(fault: string): GatewayError {
  return new GatewayError("USAGE_INVALID", `${fault}.`, { retryable: false });
}
