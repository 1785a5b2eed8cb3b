import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { BridgeError } from "../../errors.ts";
import { commitsFolder } from "../stores/lake-folders.ts";
import type { ObjectStore } from "../stores/object-store.ts";
import { lakeFormat } from "./commit-log.ts";
import { encodeJson, lakePath } from "./lake-format.ts";

/**
 * The bytes of a lake's file. Rejects with LAKE_MISSING if there is none and `create` is false, or
 * LAKE_DAMAGED.
 */
export async function readOrCreateLakeFile(
  store: ObjectStore,
  options: { readonly create: boolean },
): Promise<Uint8Array> {
  return (await store.get(lakePath)) ?? (await createLakeFile(store, options));
}

/** Creates the lake file, or reads the one that another process creates at the same time. */
async function createLakeFile(
  store: ObjectStore,
  { create }: { readonly create: boolean },
): Promise<Uint8Array> {
  for await (const object of store.list(`${commitsFolder}/`)) {
    // The writer of this object had the lake file by then.
    const made = await store.get(lakePath);
    if (made !== null) return made;
    throw new BridgeError(
      "LAKE_DAMAGED",
      `${lakePath} is missing in ${store.url} although ${object.path} exists. Restore it from a copy`,
      { retryable: false, details: { path: lakePath } },
    );
  }
  if (!create)
    throw new BridgeError("LAKE_MISSING", `there is no lake in ${store.url}; \`tidegate up\` makes one`, {
      retryable: false,
    });
  await store.putIfAbsent(lakePath, encodeJson({ format: lakeFormat, lakeId: randomUUID() }));
  const bytes = await store.get(lakePath);
  assert(bytes !== null, "an object that was created is there");
  return bytes;
}
