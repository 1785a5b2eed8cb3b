import type { TObject, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Command } from "commander";

/** `payloadBytes` → `--payload-bytes`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function isBoolean(schema: TSchema): boolean {
  return schema["type"] === "boolean";
}

function isNumber(schema: TSchema): boolean {
  return schema["type"] === "integer" || schema["type"] === "number";
}

/**
 * Adds one option for each property. Values stay texts until `readOptions`, which reports all faults at once.
 */
export function addOptions(command: Command, schema: TObject): void {
  for (const [name, property] of Object.entries(schema.properties)) {
    const isRequired = schema.required?.includes(name) === true && property.default === undefined;
    const fallback =
      property.default === undefined || isBoolean(property) ? "" : ` (default: ${property.default})`;
    const example = isRequired ? " (required)" : fallback;
    const value = isBoolean(property) ? "" : ` <${isNumber(property) ? "number" : "text"}>`;
    command.option(flagOf(name) + value, `${property.description}${example}`);
  }
}

/**
 * The given values, with the schema's defaults, or the faults: which value is wrong, where, and what is
 * right.
 */
export function readOptions(
  schema: TObject,
  given: Readonly<Record<string, unknown>>,
): { values: Record<string, unknown> } | { faults: string[] } {
  const values: Record<string, unknown> = {};
  const faults: string[] = [];
  for (const [name, property] of Object.entries(schema.properties)) {
    const text = given[name];
    if (text === undefined) {
      if (property.default !== undefined) values[name] = property.default;
      else if (schema.required?.includes(name))
        faults.push(`${flagOf(name)} is missing: ${rightWay(name, property)}`);
      continue;
    }
    const value = isNumber(property) ? numberOf(text) : text;
    if (Value.Check(property, value)) values[name] = value;
    else faults.push(`${flagOf(name)} ${text}: ${mendText(property)}, ${rightWay(name, property)}`);
  }
  return faults.length > 0 ? { faults } : { values };
}

function numberOf(text: unknown): unknown {
  return typeof text === "string" && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

function rightWay(name: string, property: TSchema): string {
  return `for example ${flagOf(name)} ${property["examples"]?.[0] ?? "…"}`;
}

function mendText(schema: TSchema): string {
  if (schema["anyOf"])
    return `choose ${schema["anyOf"].map((option: { const: string }) => option.const).join(" or ")}`;
  if (!isNumber(schema)) return "give a text that is not empty";
  const low =
    schema["exclusiveMinimum"] === undefined
      ? `from ${schema["minimum"]}`
      : `above ${schema["exclusiveMinimum"]}`;
  return `give a ${schema["type"] === "integer" ? "whole " : ""}number ${low} to ${schema["maximum"]}`;
}
