import { type TSchema, Type } from "@sinclair/typebox";
import { named } from "../schema/named-schema.ts";
import { apiErrorSchema, statusOfCode } from "./api-errors.ts";

/** Statuses of refusals, with their meaning on every route. */
const meanings: Readonly<Record<number, string>> = {
  400: "The request is wrong",
  401: "The token is missing or wrong",
  404: "The object does not exist",
  409: "The current state does not allow the request",
  413: "The body is too large",
  421: "The request is for the gateway of another data folder",
  500: "Tidegate has a fault",
  503: "The request can't be done now; it may succeed later",
};

/** Refusals of all routes that need the token. */
const everywhere = ["TOKEN_REFUSED", "GATEWAY_OTHER", "INTERNAL_ERROR"] as const;

export interface Refusals {
  /** Codes with a status of their own. */
  readonly codes?: readonly string[];
  /** Codes that depend on the state of the gateway. */
  readonly conflicts?: readonly string[];
  readonly unavailable?: readonly string[];
}

/** The schemas of all answers of a route that needs the token. */
export function answers(
  good: Readonly<Record<number, TSchema>>,
  { codes = [], conflicts = [], unavailable = [] }: Refusals = {},
): Record<number, TSchema> {
  const byStatus = new Map<number, string[]>();
  const add = (status: number, code: string) => byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  for (const code of [...codes, ...everywhere]) add(statusOfCode[code] ?? 409, code);
  for (const code of conflicts) add(409, code);
  for (const code of unavailable) add(503, code);
  return { ...good, ...Object.fromEntries([...byStatus].map(refusal)) };
}

/** The schemas of all answers of a route that monitors request without a token. */
export function openAnswers(good: Readonly<Record<number, TSchema>>): Record<number, TSchema> {
  return { ...good, ...Object.fromEntries([refusal([500, ["INTERNAL_ERROR"]])]) };
}

function refusal([status, codes]: readonly [number, readonly string[]]): [number, TSchema] {
  const description = `${meanings[status]}: ${codes.join(", ")}`;
  const content = { "application/json": { schema: named(apiErrorSchema) } };
  return [status, Type.Unsafe<unknown>({ description, content })];
}
