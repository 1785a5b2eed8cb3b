import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Attempt, AttemptStore } from "./poison-guard.ts";

const attemptSchema = Type.Object({
  from: Type.Record(Type.String(), Type.String()),
  blocks: Type.Integer({ minimum: 0 }),
  limit: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]),
  key: Type.String(),
  position: Type.String(),
  deaths: Type.Integer({ minimum: 0 }),
  deathsAlone: Type.Integer({ minimum: 0 }),
  poison: Type.Union([
    Type.Object({ key: Type.String(), from: Type.String(), position: Type.String() }),
    Type.Null(),
  ]),
}) satisfies { static: Attempt };

/**
 * Keeps the attempt in a file of the data folder. An unreadable file counts as no attempt, because it is only
 * a hint.
 */
export function createAttemptFile(path: string): AttemptStore {
  return {
    load: async () => {
      const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return "null";
        throw error;
      });
      return parsed(text);
    },
    save: async (attempt) => {
      await writeFile(`${path}.new`, JSON.stringify(attempt));
      await rename(`${path}.new`, path);
    },
    clear: () => rm(path, { force: true }),
  };
}

function parsed(text: string): Static<typeof attemptSchema> | null {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(attemptSchema, value) ? value : null;
  } catch {
    return null;
  }
}
