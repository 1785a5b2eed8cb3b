import { parseSubscriptionFilter } from "../../devices/protocol/topic-filter.ts";

interface Branch {
  readonly literals: Map<string, Branch>;
  /** Below `+`. */
  one: Branch | null;
  /** Filters that end here. */
  ends: number;
  /** Filters that end here with `#`, which matches this level and all below. */
  rests: number;
}

/**
 * Filters of subscriptions in one tree of levels, each with the number of times it was added. The cost of
 * adding, removing and matching depends on the levels of the filter or name, not on the number of other
 * filters.
 */
export class FilterTree {
  readonly #root: Branch = emptyBranch();
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Throws FILTER_INVALID. */
  add(text: string): void {
    let branch = this.#root;
    for (const level of parseSubscriptionFilter(text).levels) {
      if (level.kind === "rest") break;
      branch = childOf(branch, level.kind === "literal" ? level.text : null);
    }
    if (isRest(text)) branch.rests += 1;
    else branch.ends += 1;
    this.#size += 1;
  }

  /** Takes back one `add` of the filter; no effect if there is none. */
  remove(text: string): void {
    const path: { readonly level: string; readonly branch: Branch }[] = [];
    let branch: Branch | null | undefined = this.#root;
    const levels = text.split("/");
    if (isRest(text)) levels.pop();
    for (const level of levels) {
      path.push({ level, branch });
      branch = level === "+" ? branch.one : branch.literals.get(level);
      if (!branch) return;
    }
    const kind = isRest(text) ? "rests" : "ends";
    if (branch[kind] === 0) return;
    branch[kind] -= 1;
    this.#size -= 1;
    for (let child = branch, above = path.pop(); above && isBare(child); above = path.pop()) {
      if (above.level === "+") above.branch.one = null;
      else above.branch.literals.delete(above.level);
      child = above.branch;
    }
  }

  /** `topicName` must be a valid topic name. */
  matches(topicName: string): boolean {
    // [MQTT-4.7.2-1] A wildcard in the first level does not match names that begin with $.
    if (!topicName.startsWith("$")) return matches(this.#root, topicName, 0);
    const end = endOfLevel(topicName, 0);
    const branch = this.#root.literals.get(topicName.slice(0, end));
    return branch !== undefined && matches(branch, topicName, end + 1);
  }
}

function emptyBranch(): Branch {
  return { literals: new Map(), one: null, ends: 0, rests: 0 };
}

function isRest(text: string): boolean {
  return text === "#" || text.endsWith("/#");
}

function isBare(branch: Branch): boolean {
  return branch.ends + branch.rests + branch.literals.size === 0 && branch.one === null;
}

/** null = the branch of `+`. */
function childOf(branch: Branch, literal: string | null): Branch {
  if (literal === null) {
    branch.one ??= emptyBranch();
    return branch.one;
  }
  const known = branch.literals.get(literal);
  if (known) return known;
  const child = emptyBranch();
  branch.literals.set(literal, child);
  return child;
}

/** `start` = where the next level of the name begins; after its end once all levels are used up. */
function matches(branch: Branch, topicName: string, start: number): boolean {
  if (branch.rests > 0) return true;
  if (start > topicName.length) return branch.ends > 0;
  const end = endOfLevel(topicName, start);
  const literal = branch.literals.get(topicName.slice(start, end));
  if (literal && matches(literal, topicName, end + 1)) return true;
  return branch.one !== null && matches(branch.one, topicName, end + 1);
}

function endOfLevel(topicName: string, start: number): number {
  const slash = topicName.indexOf("/", start);
  return slash < 0 ? topicName.length : slash;
}
