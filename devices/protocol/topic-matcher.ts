import type { FilterLevel, TopicFilter } from "./topic-filter.ts";

export interface TopicMatch<Value> {
  readonly value: Value;
  /** The named levels of the filter that matched, by name. */
  readonly captures: Readonly<Record<string, string>>;
}

interface Leaf<Value> {
  readonly value: Value;
  readonly names: readonly { readonly name: string; readonly index: number }[];
}

interface Branch<Value> {
  readonly literals: Map<string, Branch<Value>>;
  /** Below `+` and named levels alike: they are equally specific. */
  wildcard: Branch<Value> | null;
  readonly rest: Leaf<Value>[];
  readonly end: Leaf<Value>[];
}

const noCaptures: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Many filters compiled into one tree of levels. Finds the most specific filter for a topic name, in the
 * order of `compareSpecificity`.
 *
 * Immutable: build a new one when the filters change. Of equally specific filters the first given wins;
 * refuse such pairs before this call. The cost of a match grows with the levels of the name, hardly with the
 * number of filters.
 */
export class TopicMatcher<Value> {
  readonly #root: Branch<Value> = emptyBranch();

  constructor(entries: Iterable<readonly [TopicFilter, Value]>) {
    for (const [filter, value] of entries) this.#add(filter, value);
  }

  #add(filter: TopicFilter, value: Value): void {
    const names = filter.levels.flatMap((level, index) =>
      level.kind === "named" ? [{ name: level.name, index }] : [],
    );
    let branch = this.#root;
    for (const level of filter.levels) {
      if (level.kind === "rest") {
        branch.rest.push({ value, names });
        return;
      }
      branch = childOf(branch, level);
    }
    branch.end.push({ value, names });
  }

  /** `topicName` must be a valid topic name: see `checkTopicName`. */
  match(topicName: string): TopicMatch<Value> | null {
    const levels = topicName.split("/");
    const leaf = topicName.startsWith("$")
      ? findBelowSystemLevel(this.#root, levels)
      : find(this.#root, levels, 0);
    return leaf === undefined ? null : { value: leaf.value, captures: capturesOf(leaf, levels) };
  }
}

function emptyBranch<Value>(): Branch<Value> {
  return { literals: new Map(), wildcard: null, rest: [], end: [] };
}

function childOf<Value>(branch: Branch<Value>, level: FilterLevel): Branch<Value> {
  if (level.kind !== "literal") {
    branch.wildcard ??= emptyBranch();
    return branch.wildcard;
  }
  const known = branch.literals.get(level.text);
  if (known) return known;
  const child = emptyBranch<Value>();
  branch.literals.set(level.text, child);
  return child;
}

function find<Value>(
  branch: Branch<Value>,
  levels: readonly string[],
  index: number,
): Leaf<Value> | undefined {
  const level = levels[index];
  if (level === undefined) return firstNamed(branch.end, levels) ?? firstNamed(branch.rest, levels);
  const literal = branch.literals.get(level);
  const exact = literal && find(literal, levels, index + 1);
  if (exact) return exact;
  const below = branch.wildcard ? find(branch.wildcard, levels, index + 1) : undefined;
  return below ?? firstNamed(branch.rest, levels);
}

/** [MQTT-4.7.2-1] A wildcard in the first level does not match names that begin with $. */
function findBelowSystemLevel<Value>(
  root: Branch<Value>,
  levels: readonly string[],
): Leaf<Value> | undefined {
  const literal = root.literals.get(levels[0] ?? "");
  return literal && find(literal, levels, 1);
}

/** A named level does not match an empty one. */
function firstNamed<Value>(
  leaves: readonly Leaf<Value>[],
  levels: readonly string[],
): Leaf<Value> | undefined {
  return leaves.find(({ names }) => names.every(({ index }) => levels[index] !== ""));
}

function capturesOf<Value>(leaf: Leaf<Value>, levels: readonly string[]): Readonly<Record<string, string>> {
  if (leaf.names.length === 0) return noCaptures;
  const captures: Record<string, string> = {};
  for (const { name, index } of leaf.names) captures[name] = levels[index] ?? "";
  return captures;
}
