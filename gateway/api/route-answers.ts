import { type TSchema, Type } from "@sinclair/typebox";
import { apiErrorSchema, statusOfCode } from "./api-errors.ts";
import { named } from "./schemas/named-schema.ts";

/** Statuses of refusals, with what each means on every route. */
const meanings: Readonly<Record<number, string>> = {
  400: "The request is wrong",
  401: "The token is missing or wrong",
  404: "There is no such thing",
  409: "The state of things forbids it",
  413: "The body is too large",
  421: "The request is for the gateway of another data folder",
  500: "A fault of Tidegate",
  503: "It can't be done now; the same request may succeed later",
};

/** What a route that asks for the token may always refuse with. */
const everywhere = ["TOKEN_REFUSED", "GATEWAY_OTHER", "INTERNAL_ERROR"] as const;

export interface Refusals {
  /** Codes with a status of their own. */
  readonly codes?: readonly string[];
  /** Codes that depend on the state of things. */
  readonly conflicts?: readonly string[];
  readonly unavailable?: readonly string[];
}

/** The schemas of everything that a route with a token answers. */
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

/** Of a route that monitors ask without a token. */
export function openAnswers(good: Readonly<Record<number, TSchema>>): Record<number, TSchema> {
  return { ...good, ...Object.fromEntries([refusal([500, ["INTERNAL_ERROR"]])]) };
}

function refusal([status, codes]: readonly [number, readonly string[]]): [number, TSchema] {
  const description = `${meanings[status]}: ${codes.join(", ")}`;
  const content = { "application/json": { schema: named(apiErrorSchema) } };
  return [status, Type.Unsafe<unknown>({ description, content })];
}
