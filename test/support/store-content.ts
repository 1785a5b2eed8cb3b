import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";

/** Everything in a store, by path, in base64. */
export async function contentOf(store: ObjectStore): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const { path } of store.list(""))
    content.set(path, Buffer.from((await store.get(path)) ?? []).toString("base64"));
  return content;
}
