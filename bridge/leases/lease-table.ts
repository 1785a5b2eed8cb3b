import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { BridgeError } from "../errors.ts";

const row = Type.Tuple([
  Type.String(),
  Type.String(),
  Type.Integer(),
  Type.Number(),
  Type.Union([Type.Literal(0), Type.Literal(1)]),
]);
const answer = Type.Object({
  state: Type.Union([Type.Literal("member"), Type.Literal("replaced"), Type.Literal("left")]),
  // cjson writes an empty table as {}.
  members: Type.Union([Type.Array(Type.String()), Type.Object({}, { additionalProperties: false })]),
  waiting: Type.Integer(),
  rows: Type.Array(Type.Union([row, Type.Literal(false)])),
});

export interface LeaseRow {
  readonly owner: string;
  readonly incarnation: string;
  readonly token: number;
  /** When the server answered. */
  readonly expiresInMs: number;
  readonly isDue: boolean;
}

/** What the lease script answered. */
export interface LeaseTable {
  /** `replaced`: another process has joined under this one's name. */
  readonly state: Static<typeof answer>["state"];
  readonly members: readonly string[];
  /** Partitions meant for this process that others have yet to hand over. */
  readonly waiting: number;
  /** By partition. */
  readonly rows: readonly (LeaseRow | null)[];
}

export function parseLeaseTable(reply: unknown): LeaseTable {
  const value: unknown = JSON.parse(String(reply));
  if (!Value.Check(answer, value))
    throw new BridgeError("REDIS_KEY_TYPE", `the lease table holds what is none: ${String(reply)}`, {
      retryable: false,
    });
  return {
    state: value.state,
    members: Array.isArray(value.members) ? value.members : [],
    waiting: value.waiting,
    rows: value.rows.map((each) => {
      if (!each) return null;
      const [owner, incarnation, token, expiresInMs, due] = each;
      return { owner, incarnation, token, expiresInMs, isDue: due === 1 };
    }),
  };
}
