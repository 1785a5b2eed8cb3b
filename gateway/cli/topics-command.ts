import type { Command } from "commander";
import { eventTimeBoundsOf } from "../../bridge/topics/index.ts";
import { durationText } from "../input/duration.ts";
import type { ShownTopic } from "../registry/topic-definition.ts";
import { formatText } from "../registry/topic-formats.ts";
import { apiOf, type CommandEnvironment, runAction } from "./command-context.ts";
import { addDataOptions } from "./config-options.ts";
import { textTable } from "./text-table.ts";
import {
  addDefinitionOptions,
  filesOfFlags,
  forever,
  inputOfFlags,
  inputOfRecord,
  flagNames as names,
  type TopicFlags,
  usage,
} from "./topic-flags.ts";

export function addTopicsCommand(program: Command, environment: CommandEnvironment): void {
  const topics = program.command("topics").description("create, list, show, update and delete topics");
  addCreate(topics, environment);
  addUpdate(topics, environment);
  addList(topics, environment);
  addShow(topics, environment);
  addDelete(topics, environment);
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

function retentionText({ retentionMs = null }: Partial<ShownTopic>): string {
  return retentionMs === null ? forever : durationText(retentionMs);
}

const listHeader = ["name", "filter", "format", "version", "event past", "event ahead", "retain", "state"];

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
      retentionText(topic),
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
