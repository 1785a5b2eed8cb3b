import { valueAt } from "../decoders/document/json-document.ts";

/**
 * Finds schemas that a topic may not have, without recursion, before other code recurses over them:
 * - nested too deep;
 * - with subschemas that lead to each other without going down in the document;
 * - with a property name that validators ignore;
 * - written for another draft.
 */

type Schema = Readonly<Record<string, unknown>>;

/**
 * Levels of arrays and objects of a schema. A document may have 128 levels, and each needs two in the
 * schema.
 */
const jsonLevelsMax = 256;
/** Longest chain of subschemas that judge the same value, each reached from the one before. */
const inPlaceMax = 32;
/** Characters of a JSON pointer that a message shows. */
const shownMax = 200;

/** Keywords whose subschemas judge the same value. */
const inPlace = new Set(["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependencies"]);
/** Keywords with one subschema, or an array of them. */
const single = ["not", "if", "then", "else", "contains", "propertyNames", "additionalItems", "items"];
const many = [...single, "additionalProperties", "allOf", "anyOf", "oneOf"];
/** Keywords with subschemas by name. */
const named = ["properties", "patternProperties", "dependencies", "definitions", "$defs"];
const namesOfMembers = new Set(["properties", "patternProperties", "dependencies"]);

/** Keywords of other drafts that judge a value. Draft-07 ignores them. */
const otherDrafts = new Set([
  ...["dependentRequired", "dependentSchemas", "minContains", "maxContains", "prefixItems"],
  ...["unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef"],
  ...["divisibleBy", "disallow", "extends"],
]);
const draft = "http://json-schema.org/draft-07/schema#";
const draftNames = /^http:\/\/json-schema\.org\/(draft-07\/)?schema#?$/;

interface Place {
  readonly schema: Schema;
  readonly pointer: string;
  /** The schema that `#` refers to. */
  readonly base: Schema;
}

interface Step extends Place {
  readonly isInPlace: boolean;
}

/** What is wrong with the schema, and where; null if nothing is wrong. */
export function schemaShapeFault(schema: Schema): string | null {
  return valueFault(schema) ?? draftFault(schema) ?? unseenNameFault(schema) ?? inPlaceFault(schema);
}

/** Refuses keywords that the validator would ignore: their checks would never run. */
function draftFault(schema: Schema): string | null {
  const name = schema["$schema"];
  if (typeof name === "string" && !draftNames.test(name))
    return `$schema names another draft than draft-07: leave it out, or write "${draft}"`;
  for (const { schema: at, pointer } of allPlaces(schema))
    for (const keyword of Object.keys(at))
      if (otherDrafts.has(keyword))
        return `${shown(`${pointer}/${keyword}`)} is no keyword of draft-07, so it would check nothing: say it with keywords of draft-07`;
  return null;
}

function valueFault(schema: Schema): string | null {
  let level: { value: object; pointer: string }[] = [{ value: schema, pointer: "" }];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > jsonLevelsMax)
      return `arrays and objects are nested more than ${jsonLevelsMax} deep at ${shown(level[0]?.pointer ?? "")}`;
    const next: typeof level = [];
    for (const { value, pointer } of level)
      for (const [name, member] of Object.entries(value)) {
        const at = `${pointer}/${escaped(name)}`;
        // JSON can't write such a number, so the stored schema would differ.
        if (typeof member === "number" && !Number.isFinite(member))
          return `${shown(at)} is a number beyond 1.8e308`;
        if (isObject(member)) next.push({ value: member, pointer: at });
      }
    level = next;
  }
  return null;
}

function unseenNameFault(schema: Schema): string | null {
  for (const { schema: at, pointer } of allPlaces(schema))
    for (const keyword of namesOfMembers)
      if (isObject(at[keyword]) && Object.hasOwn(at[keyword], "__proto__"))
        return `${shown(`${pointer}/${keyword}`)} names __proto__, which validators pass over: leave it out`;
  return null;
}

/** Visits subschemas depth-first. When a subschema is left, the length of its longest chain is known. */
function inPlaceFault(schema: Schema): string | null {
  const lengths = new Map<Schema, number>();
  const entered = new Set<Schema>();
  const ids = idsOf(schema);
  for (const start of allPlaces(schema)) {
    const stack: { place: Place; isLeft: boolean }[] = [{ place: start, isLeft: false }];
    while (stack.length > 0) {
      const { place, isLeft } = stack.pop() as { place: Place; isLeft: boolean };
      const next = inPlaceOf(place, ids);
      if (isLeft) {
        entered.delete(place.schema);
        const length = 1 + next.reduce((most, to) => Math.max(most, lengths.get(to.schema) ?? 0), 0);
        if (length > inPlaceMax)
          return `more than ${inPlaceMax} subschemas follow on each other for one value at ${shown(place.pointer)}`;
        lengths.set(place.schema, length);
      } else if (!lengths.has(place.schema)) {
        entered.add(place.schema);
        stack.push({ place, isLeft: true });
        const back = next.find((to) => entered.has(to.schema));
        if (back)
          return `${shown(place.pointer)} leads back to ${shown(back.pointer)} for the same value, without an end`;
        for (const to of next) if (!lengths.has(to.schema)) stack.push({ place: to, isLeft: false });
      }
    }
  }
  return null;
}

function inPlaceOf(place: Place, ids: ReadonlyMap<string, Schema>): Place[] {
  const next: Place[] = stepsOf(place).filter(({ isInPlace }) => isInPlace);
  const reference = place.schema["$ref"];
  if (typeof reference !== "string") return next;
  const target = targetOf(reference, place.base, ids);
  return target === null ? next : [...next, target];
}

/** null if the target is not in this schema; the compiler then decides whether it exists. */
function targetOf(reference: string, base: Schema, ids: ReadonlyMap<string, Schema>): Place | null {
  const hash = reference.indexOf("#");
  const id = hash < 0 ? reference : reference.slice(0, hash);
  const fragment = hash < 0 ? "" : reference.slice(hash + 1);
  const root = id === "" ? base : ids.get(id);
  const whole = ids.get(reference);
  if (whole !== undefined) return { schema: whole, pointer: reference, base: whole };
  if (root === undefined || (fragment !== "" && !fragment.startsWith("/"))) return null;
  const names = fragment.split("/").slice(1).map(unescaped);
  const schema = valueAt(root, names);
  return isSchema(schema) ? { schema, pointer: fragment, base: root } : null;
}

function idsOf(schema: Schema): ReadonlyMap<string, Schema> {
  const ids = new Map<string, Schema>();
  for (const { schema: at } of allPlaces(schema)) {
    const id = at["$id"];
    if (typeof id === "string") ids.set(id, at);
  }
  return ids;
}

function allPlaces(schema: Schema): Place[] {
  const places: Place[] = [{ schema, pointer: "", base: schema }];
  for (const place of places) for (const step of stepsOf(place)) places.push(step);
  return places;
}

function stepsOf({ schema, pointer, base }: Place): Step[] {
  const steps: Step[] = [];
  const add = (value: unknown, keyword: string, ...path: string[]): void => {
    if (!isSchema(value)) return;
    const id = value["$id"];
    const isBase = typeof id === "string" && !id.startsWith("#");
    const at = [pointer, ...[keyword, ...path].map(escaped)].join("/");
    steps.push({ schema: value, pointer: at, base: isBase ? value : base, isInPlace: inPlace.has(keyword) });
  };
  for (const keyword of many) {
    const value = schema[keyword];
    if (Array.isArray(value)) for (const [index, item] of value.entries()) add(item, keyword, String(index));
    else add(value, keyword);
  }
  for (const keyword of named)
    if (isSchema(schema[keyword]))
      for (const [name, member] of Object.entries(schema[keyword])) add(member, keyword, name);
  return steps;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isSchema(value: unknown): value is Schema {
  return isObject(value) && !Array.isArray(value);
}

/** RFC 6901; a long name is cut. */
function escaped(name: string): string {
  return name.slice(0, shownMax).replaceAll("~", "~0").replaceAll("/", "~1");
}

function unescaped(text: string): string {
  return decoded(text).replaceAll("~1", "/").replaceAll("~0", "~");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Escaped, so that invisible characters are shown. */
function shown(pointer: string): string {
  const text = pointer.length > shownMax ? `${pointer.slice(0, shownMax)}…` : pointer;
  return `#${JSON.stringify(text).slice(1, -1)}`;
}
