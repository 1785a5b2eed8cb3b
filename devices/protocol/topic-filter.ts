// The topic-filter language: MQTT 3.1.1 §4.7, plus named levels (`fleet/{device}/telemetry`) that match like
// `+` and are captured.
import { ProtocolError } from "./protocol-error.ts";

export type FilterLevel =
  | { readonly kind: "literal"; readonly text: string }
  /** Matches one level that is not empty: a name must have at least one character. */
  | { readonly kind: "named"; readonly name: string }
  /** `+`: matches one level, also an empty one. */
  | { readonly kind: "one" }
  /** `#`: matches the level before it and everything below. */
  | { readonly kind: "rest" };

export interface TopicFilter {
  readonly text: string;
  /** The same filter in MQTT's syntax: named levels are `+`. */
  readonly mqttFilter: string;
  readonly levels: readonly FilterLevel[];
}

/** [MQTT-1.5.3] A UTF-8 string carries its length in two bytes. */
const textMaxBytes = 65_535;

const levelNamePattern = /^\{([a-zA-Z][a-zA-Z0-9_]{0,62})\}$/;

/**
 * Reads a filter with named levels. Names match `[a-zA-Z][a-zA-Z0-9_]{0,62}` and occur once; braces have no
 * other meaning. Throws FILTER_INVALID with the broken clause.
 */
export function parseTopicFilter(text: string): TopicFilter {
  const levels = checkedLevels(text).map((level) => parseNamedLevel(text, level));
  const names = levels.flatMap((level) => (level.kind === "named" ? [level.name] : []));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalidFilter(text, `the name {${twice}} is used twice`);
  return { text, mqttFilter: levels.map(mqttLevel).join("/"), levels };
}

/** Reads a filter as a client subscribes with it: braces are ordinary characters. Throws FILTER_INVALID. */
export function parseSubscriptionFilter(text: string): TopicFilter {
  return { text, mqttFilter: text, levels: checkedLevels(text).map(parsePlainLevel) };
}

function checkedLevels(text: string): string[] {
  const fault = textFault(text);
  if (fault) throw invalidFilter(text, fault);
  const levels = text.split("/");
  levels.forEach((level, index) => {
    if (level.length > 1 && level.includes("#"))
      throw invalidFilter(text, "# must be a whole level [MQTT-4.7.1-2]");
    if (level === "#" && index < levels.length - 1)
      throw invalidFilter(text, "# must be the last level [MQTT-4.7.1-2]");
    if (level.length > 1 && level.includes("+"))
      throw invalidFilter(text, "+ must be a whole level [MQTT-4.7.1-3]");
  });
  return levels;
}

function parsePlainLevel(level: string): FilterLevel {
  if (level === "+") return { kind: "one" };
  if (level === "#") return { kind: "rest" };
  return { kind: "literal", text: level };
}

function parseNamedLevel(text: string, level: string): FilterLevel {
  const name = levelNamePattern.exec(level)?.[1];
  if (name !== undefined) return { kind: "named", name };
  if (/[{}]/.test(level))
    throw invalidFilter(text, `the level ${JSON.stringify(level)} is not a name such as {device}`);
  return parsePlainLevel(level);
}

function mqttLevel(level: FilterLevel): string {
  if (level.kind === "literal") return level.text;
  return level.kind === "rest" ? "#" : "+";
}

function invalidFilter(text: string, fault: string): ProtocolError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return new ProtocolError("FILTER_INVALID", `topic filter ${JSON.stringify(shown)}: ${fault}`, {
    retryable: false,
  });
}

function textFault(text: string): string | null {
  if (text.length === 0) return "it is empty [MQTT-4.7.3-1]";
  if (text.includes("\u0000")) return "it holds U+0000 [MQTT-4.7.3-2]";
  if (/\p{Surrogate}/u.test(text)) return "it holds half a surrogate pair [MQTT-1.5.3-1]";
  // No UTF-16 unit takes more than 3 bytes in UTF-8.
  if (text.length * 3 > textMaxBytes && Buffer.byteLength(text) > textMaxBytes)
    return `it has more than ${textMaxBytes} bytes [MQTT-4.7.3-3]`;
  return null;
}

/** null if a client may publish under this name, else the fault of the name. */
export function checkTopicName(name: string): string | null {
  if (/[+#]/.test(name)) return "it holds a wildcard [MQTT-3.3.2-2]";
  return textFault(name);
}

/** The named levels of a topic name that the filter matches, by name; null if the filter does not match. */
export function matchTopicFilter(filter: TopicFilter, topicName: string): Record<string, string> | null {
  const captures: Record<string, string> = {};
  let start = 0;
  for (const [index, level] of filter.levels.entries()) {
    if (level.kind !== "literal" && index === 0 && topicName.startsWith("$")) return null;
    if (level.kind === "rest") return captures;
    if (start > topicName.length) return null;
    const slash = topicName.indexOf("/", start);
    const end = slash < 0 ? topicName.length : slash;
    if (level.kind === "literal" && level.text !== topicName.slice(start, end)) return null;
    if (level.kind === "named") {
      if (end === start) return null;
      captures[level.name] = topicName.slice(start, end);
    }
    start = end + 1;
  }
  return start > topicName.length ? captures : null;
}

/** True if some topic name matches both. */
export function filtersOverlap(left: TopicFilter, right: TopicFilter): boolean {
  for (let index = 0; ; index += 1) {
    const a = left.levels[index];
    const b = right.levels[index];
    if (!a && !b) return true;
    if (!a || !b) return (a ?? b)?.kind === "rest" && !isEmptyName(left, right, index);
    if (!levelsOverlap(a, b, index)) return false;
    if (a.kind === "rest" || b.kind === "rest") return true;
  }
}

/**
 * `/#` also matches the level before its slash. Alone, that is the empty name, which does not exist
 * [MQTT-4.7.3-1].
 */
function isEmptyName(left: TopicFilter, right: TopicFilter, levels: number): boolean {
  return (
    levels === 1 &&
    [left, right].some(({ levels: [first] }) => first?.kind === "literal" && first.text === "")
  );
}

function levelsOverlap(a: FilterLevel, b: FilterLevel, index: number): boolean {
  if (a.kind === "literal" && b.kind === "literal") return a.text === b.text;
  const literal = a.kind === "literal" ? a : b;
  const other = a.kind === "literal" ? b : a;
  if (literal.kind !== "literal") return true;
  // [MQTT-4.7.2-1] A wildcard in the first level does not match names that begin with $.
  if (index === 0 && literal.text.startsWith("$")) return false;
  return !(other.kind === "named" && literal.text === "");
}

/** True only if `outer` matches every topic name that `inner` matches. */
export function filterCovers(outer: TopicFilter, inner: TopicFilter): boolean {
  for (let index = 0; ; index += 1) {
    const a = outer.levels[index];
    const b = inner.levels[index];
    if (a && b?.kind === "literal" && index === 0 && b.text.startsWith("$") && a.kind !== "literal")
      return false;
    if (a?.kind === "rest") return true;
    if (!a || !b) return !a && !b;
    if (!levelCovers(a, b)) return false;
  }
}

function levelCovers(outer: FilterLevel, inner: FilterLevel): boolean {
  if (inner.kind === "rest") return false;
  if (outer.kind === "one") return true;
  if (inner.kind === "literal")
    return outer.kind === "literal" ? outer.text === inner.text : inner.text !== "";
  return outer.kind === "named" && inner.kind === "named";
}

/**
 * 1 if `left` is more specific, -1 if `right` is, else 0. Compared level by level: literal > end of the
 * filter > {named} or + > #. Two filters that overlap and compare as 0 are ambiguous. Sort with `(a, b) =>
 * compareSpecificity(b, a)` for most specific first.
 */
export function compareSpecificity(left: TopicFilter, right: TopicFilter): -1 | 0 | 1 {
  const length = Math.max(left.levels.length, right.levels.length);
  for (let index = 0; index < length; index += 1) {
    const difference = specificity(left.levels[index]) - specificity(right.levels[index]);
    if (difference !== 0) return difference > 0 ? 1 : -1;
  }
  return 0;
}

const specificityByKind = { rest: 0, one: 1, named: 1, literal: 3 } as const;
const specificityOfEnd = 2;

function specificity(level: FilterLevel | undefined): number {
  return level ? specificityByKind[level.kind] : specificityOfEnd;
}
