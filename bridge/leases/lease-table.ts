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
  rows: Type.Union([
    Type.Array(Type.Union([row, Type.Literal(false)])),
    Type.Object({}, { additionalProperties: false }),
  ]),
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
  /** By partition; those that nobody has are missing. */
  readonly rows: ReadonlyMap<number, LeaseRow>;
}

/** @param partitions What was asked for. */
export function parseLeaseTable(reply: unknown, partitions: readonly number[]): LeaseTable {
  const value: unknown = JSON.parse(String(reply));
  if (!Value.Check(answer, value))
    throw new BridgeError("REDIS_KEY_TYPE", `the lease table holds what is none: ${String(reply)}`, {
      retryable: false,
    });
  const rows = Array.isArray(value.rows) ? value.rows : [];
  return {
    state: value.state,
    members: Array.isArray(value.members) ? value.members : [],
    waiting: value.waiting,
    rows: new Map(
      rows.flatMap((each, index) => {
        if (!each) return [];
        const [owner, incarnation, token, expiresInMs, due] = each;
        return [[partitions[index] as number, { owner, incarnation, token, expiresInMs, isDue: due === 1 }]];
      }),
    ),
  };
}
