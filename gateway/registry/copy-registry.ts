import { isDeepStrictEqual } from "node:util";
import { GatewayError } from "../errors.ts";
import { reconcileTopics } from "./reconcile-topics.ts";
import { initialisedFact, type RegistryStore } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";

const pageSize = 500;

export interface CopiedRegistry {
  readonly topics: number;
  readonly devices: number;
}

/**
 * Copies all topics and identities of one registry to another, secrets included. Existing ones stay as they
 * are. Throws MIGRATE_CONFLICT if an identity of the same name differs, REGISTRY_CONFLICT if topics
 * contradict each other.
 */
export async function copyRegistry(
  from: RegistryStore,
  to: RegistryStore,
  archive: TopicArchive,
): Promise<CopiedRegistry> {
  // After this, the lake holds all versions of all topics of both registries.
  await reconcileTopics(from, archive);
  const { imported } = await reconcileTopics(to, archive);
  const devices = await copyDevices(from, to);
  const initialisedAt = await from.fact(initialisedFact);
  if (initialisedAt !== undefined && (await to.fact(initialisedFact)) === undefined)
    await to.setFact(initialisedFact, initialisedAt);
  return { topics: imported, devices };
}

async function copyDevices(from: RegistryStore, to: RegistryStore): Promise<number> {
  let copied = 0;
  for (let after = ""; ; ) {
    const page = await from.devices(pageSize, after);
    for (const device of page) {
      if (await to.addDevice(device)) copied += 1;
      else if (!isDeepStrictEqual(await to.device(device.name), device)) throw conflict(device.name);
    }
    const last = page.at(-1);
    if (!last) return copied;
    after = last.name;
  }
}

function conflict(name: string): GatewayError {
  return new GatewayError(
    "MIGRATE_CONFLICT",
    `The Redis already has a different identity ${name}: remove one of the two with \`tidegate devices remove ${name}\`, or use a prefix of your own (?prefix=NAME), then migrate again.`,
    { retryable: false },
  );
}
