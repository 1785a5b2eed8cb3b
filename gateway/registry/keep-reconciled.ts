import type { Logger } from "pino";
import { reconcileTopics } from "./reconcile-topics.ts";
import type { RegistryStore } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";

/** Brings back from the lake what a registry lacks that was replaced by an older copy, while gateways run. */
export function keepReconciled(store: RegistryStore, archive: TopicArchive, logger: Logger): void {
  store.listen({
    identitiesInDoubt: () => {
      reconcileTopics(store, archive).then(
        (counts) =>
          logger.warn(
            { event: "registry.replaced", ...counts },
            "the registry is another one or an older copy: topics were brought back from the lake; identities that were removed since may be back, look at `tidegate devices list`",
          ),
        (error: unknown) =>
          logger.error(
            { event: "registry.reconcile.failed", err: error },
            "registry and lake may differ: restart the gateway",
          ),
      );
    },
  });
}
