import { isDeepStrictEqual } from "node:util";
import { GatewayError } from "../errors.ts";
import { reconcileTopics } from "../registry/reconcile-topics.ts";
import { initialisedFact, type RegistryStore } from "../registry/registry-store.ts";
import type { TopicArchive } from "../registry/topic-archive.ts";

const pageSize = 500;

export interface CopiedRegistry {
  readonly topics: number;
  readonly devices: number;
}

/**
 * Makes a registry know every topic and identity of another one, secrets included. What it knows already is left alone.
 * Throws MIGRATE_CONFLICT where an identity of that name differs, REGISTRY_CONFLICT where topics contradict each other.
 */
export async function copyRegistry(
  from: RegistryStore,
  to: RegistryStore,
  archive: TopicArchive,
): Promise<CopiedRegistry> {
  // The lake holds every version of every topic that either of them knows.
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
    `The Redis has another identity ${name} already: remove one of the two with \`tidegate devices remove ${name}\`, or use a prefix of your own (?prefix=NAME), then migrate again.`,
    { retryable: false },
  );
}
