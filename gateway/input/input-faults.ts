import type { TSchema } from "@sinclair/typebox";
import { type ValueError, ValueErrorType } from "@sinclair/typebox/errors";
import { Value } from "@sinclair/typebox/value";
import { choicesOf, expectedText } from "../schema/schema-words.ts";
import { nearestName } from "./nearest-name.ts";

/** One fault of an input, in the words of the user. */
export interface InputFault {
  /**
   * A field's path such as `allowedQos[1]`, `?limit` of the query, `{name}` of the path; "" = the whole
   * input.
   */
  readonly where: string;
  readonly kind: "missing" | "unknown" | "wrong";
  /** The wrong value as given; a secret is "***". */
  readonly value?: unknown;
  /** How to correct the fault: "choose envelope, json or raw". */
  readonly mend: string;
}

/** Longer values are shortened in texts. */
const shownLength = 100;
const faultsMax = 10;

/**
 * All faults of a value, at most one for each place. Only this function turns the findings of the schema
 * library into texts. So users never read the library's words, or a regular expression.
 * @param options.areTexts True if every value was given as a text, so that "not a text" would be of no use.
 */
export function inputFaults(
  schema: TSchema,
  value: unknown,
  options: { areTexts: boolean } = { areTexts: false },
): InputFault[] {
  const faults = new Map<string, InputFault>();
  for (const error of Value.Errors(schema, value)) {
    if (faults.size >= faultsMax) break;
    const where = placeOf(error.path);
    if (!faults.has(where)) faults.set(where, faultOf(where, error, options.areTexts));
  }
  return [...faults.values()];
}

function faultOf(where: string, error: ValueError, areTexts: boolean): InputFault {
  const { type, schema, value } = error;
  if (type === ValueErrorType.ObjectAdditionalProperties) {
    const known = Object.keys((schema["properties"] ?? {}) as object);
    return { where, kind: "unknown", mend: insteadOf(where.split(".").at(-1) ?? where, known) };
  }
  if (value === undefined) return { where, kind: "missing", mend: mendText(schema) };
  const mend = areTexts ? mendText(schema) : `${mendText(schema)}${wrongType(schema, value)}`;
  return { where, kind: "wrong", value: schema["secret"] === true ? "***" : value, mend };
}

function insteadOf(name: string, known: readonly string[]): string {
  if (known.length === 0) return "there are none here";
  const near = nearestName(name, known);
  return near === null ? `choose ${listText(known)}` : `did you mean ${near}?`;
}

/** "choose envelope, json or raw", "give a whole number from 1 to 1000". */
export function mendText(schema: TSchema): string {
  const choices = choicesOf(schema);
  return choices.length > 0 ? `choose ${listText(choices)}` : `give ${expectedText(schema)}`;
}

/** "a, b or c". */
export function listText(items: readonly unknown[]): string {
  const texts = items.map(String);
  const last = texts.pop() ?? "";
  return texts.length === 0 ? last : `${texts.join(", ")} or ${last}`;
}

const typeNames: Readonly<Record<string, readonly string[]>> = {
  text: ["string"],
  number: ["integer", "number"],
  boolean: ["boolean"],
  list: ["array"],
  object: ["object"],
  null: ["null"],
};

/** ", not a text", if the schema allows no value of this type. */
function wrongType(schema: TSchema, value: unknown): string {
  const parts = Array.isArray(schema["anyOf"]) ? (schema["anyOf"] as TSchema[]) : [schema];
  const allowed = parts.map((part) => part["type"] ?? typeof part["const"]);
  const given = typeName(value);
  if (typeNames[given]?.some((type) => allowed.includes(type))) return "";
  return `, not ${given === "null" ? given : given === "object" ? `an ${given}` : `a ${given}`}`;
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  return typeof value === "string" ? "text" : typeof value;
}

/** `/allowedQos/1` as `allowedQos[1]`. */
function placeOf(pointer: string): string {
  return pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((path, part) => {
      if (/^\d+$/.test(part)) return `${path}[${part}]`;
      return path === "" ? part : `${path}.${part}`;
    }, "");
}

/** `format "jsn": choose envelope, json or raw`. `name` is the user's name of the place. */
export function faultText({ where, kind, value, mend }: InputFault, name = where || "the body"): string {
  if (kind === "missing") return `${name} is missing: ${mend}`;
  if (kind === "unknown") return `${name} is unknown: ${mend}`;
  return `${name}${name.startsWith("?") ? `=${value}` : ` ${shownValue(value)}`}: ${mend}`;
}

function shownValue(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > shownLength ? `${text.slice(0, shownLength)}…` : text;
}
