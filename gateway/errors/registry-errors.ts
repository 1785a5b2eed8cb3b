import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** Topics, identities, and the registry that holds them. */
export const registryErrors = {
  TOPIC_INVALID: {
    meaning: "The definition of the topic is not valid.",
    retry: "no",
    remedy: "Correct the fields that the message names.",
  },
  TOPIC_EXISTS: {
    meaning: "A topic in force has this name and another definition.",
    retry: "no",
    remedy: "Change it with `tidegate topics update`, or choose another name.",
  },
  TOPIC_AMBIGUOUS: {
    meaning: "Some topic names would match this filter and another topic's, and neither is more specific.",
    retry: "no",
    remedy: "Use a literal level where the other filter has a wildcard, or another first level.",
  },
  TOPIC_UNKNOWN: {
    meaning:
      "A request names a topic that does not exist, or changes a deleted one. On a partition: a message names a topic version that the lake does not have yet.",
    retry: "depends",
    remedy:
      "Take the name from `tidegate topics list`, or create the deleted topic again. A partition resumes by itself once the version is in the lake; give each lake a stream of its own.",
  },
  TOPIC_INCOMPATIBLE: {
    meaning: "The columns of the new version don't fit the topic's table.",
    retry: "no",
    remedy: "Keep the types of existing columns, or create another topic.",
  },
  TOPIC_PURGE_UNSAFE: {
    meaning: "The table can't be removed, because the commit log and deduplication need its files.",
    retry: "no",
    remedy: "Delete the topic without `--purge`. Its table stays readable.",
  },
  DEVICE_INVALID: {
    meaning: "The definition of the identity is not valid.",
    retry: "no",
    remedy: "Correct the fields that the message names.",
  },
  DEVICE_EXISTS: {
    meaning: "An identity has this name already.",
    retry: "no",
    remedy: "Remove it first with `tidegate devices remove NAME` to give it a new key.",
  },
  DEVICE_UNKNOWN: {
    meaning: "There is no identity of this name.",
    retry: "no",
    remedy: "Take the name from `tidegate devices list`.",
  },
  REGISTRY_VERSION: {
    meaning: "A newer Tidegate wrote the registry of topics and identities.",
    retry: "no",
    remedy: "Use the version that wrote it, or a newer one.",
  },
  REGISTRY_BUSY: {
    meaning: "Too many other changes of topics were made at the same time. The change was not made.",
    retry: "yes",
    remedy: "Run the command again in a moment.",
  },
  REGISTRY_LOST: {
    meaning: "The Redis no longer holds the registry: it was emptied or replaced.",
    retry: "yes",
    remedy: "Restart the gateways: topics come back from the lake. Add the identities again.",
  },
  REGISTRY_LAKE: {
    meaning: "This Redis and prefix belong to gateways with another lake.",
    retry: "no",
    remedy: "Name their lake with `--lake`, or choose a prefix of your own (`?prefix=NAME`).",
  },
  REGISTRY_CONFLICT: {
    meaning: "The registry and the lake contradict each other about a topic.",
    retry: "no",
    remedy:
      "Start with the data folder that wrote the lake, or with an empty one, which takes over the lake's topics.",
  },
} as const satisfies Record<string, ErrorEntry>;
