import { parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import type { MessageShape, MessageShapes } from "../scenario/message-shapes.ts";
import { typedSchema } from "../scenario/typed-values.ts";
import type { TopicApi, TopicDefinition } from "./topic-api.ts";

/**
 * Creates the topics that a run needs and that do not exist yet. A topic with the same filter is used as it
 * is.
 *
 * The main topic comes last, because its filter may match the names of the others. A gateway that knows only
 * some topics must not file the others' messages there.
 */
export async function createRunTopics(
  api: Pick<TopicApi, "filters" | "create">,
  shapes: MessageShapes,
  options: { readonly dedupeWindowMs: number | undefined },
): Promise<void> {
  const known = await api.filters();
  for (const shape of shapes.topics.toReversed())
    if (!known.includes(shape.filter)) await api.create(topicOf(shape, options.dedupeWindowMs));
}

function topicOf(
  { kind, filter, format }: MessageShape,
  dedupeWindowMs: number | undefined,
): TopicDefinition {
  return {
    name: kind === "main" ? `sim_${format}` : `sim_${kind}`,
    filter,
    format,
    ...(kind === "typed" ? { schema: typedSchema } : {}),
    ...(dedupeWindowMs === undefined ? {} : { dedupeWindowMs }),
  };
}

/**
 * A topic that takes the main topic's names from it. Its filter has the run's literal texts in all levels but
 * `{device}`. null if the filter has no other level that could be more specific.
 */
export function specificTopic(
  { filter, format }: MessageShape,
  dedupeWindowMs: number | undefined,
): TopicDefinition | null {
  const levels = parseTopicFilter(filter).levels.map((level) => {
    if (level.kind === "literal") return level.text;
    if (level.kind !== "named") return "sim";
    return level.name === "device" ? "{device}" : `${level.name}-0`;
  });
  const specific = levels.join("/");
  if (specific === filter || format === "raw") return null;
  return {
    name: "sim_specific",
    filter: specific,
    format,
    ...(dedupeWindowMs === undefined ? {} : { dedupeWindowMs }),
  };
}
