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
  /** Counted from the server's answer. */
  readonly expiresInMs: number;
  readonly isDue: boolean;
}

/** The reply of the lease script. */
export interface LeaseTable {
  /** `replaced`: another process joined under the name of this one. */
  readonly state: Static<typeof answer>["state"];
  readonly members: readonly string[];
  /** Number of partitions meant for this process that others still have to hand over. */
  readonly waiting: number;
  /** By partition; free partitions are missing. */
  readonly rows: ReadonlyMap<number, LeaseRow>;
}

/** @param partitions The partitions of the call, in its order. @throws BridgeError REDIS_KEY_TYPE */
export function parseLeaseTable(reply: unknown, partitions: readonly number[]): LeaseTable {
  const value: unknown = JSON.parse(String(reply));
  if (!Value.Check(answer, value))
    throw new BridgeError(
      "REDIS_KEY_TYPE",
      `the key of the lease table holds something else: ${String(reply)}`,
      {
        retryable: false,
      },
    );
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
