import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { reconcileTopics } from "./reconcile-topics.ts";
import type { RegistryStore } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";

/** Restores topics from the lake if the registry is replaced by an older copy while gateways run. */
export function keepReconciled(
  store: RegistryStore,
  archive: TopicArchive,
  logger: Logger,
  retryMs = 2_000,
): void {
  let newest: object | null = null;
  const reconcile = async (): Promise<void> => {
    const own = {};
    newest = own;
    while (own === newest)
      try {
        const counts = await reconcileTopics(store, archive);
        logger.warn({ event: "registry.replaced", ...counts }, replaced);
        return;
      } catch (error) {
        if (!(error instanceof CodedError && error.retryable)) {
          const fields = { event: "registry.reconcile.failed", err: error };
          logger.error(fields, "the topics of registry and lake may differ: restart the gateway");
          return;
        }
        logger.warn(
          { event: "registry.reconcile.failed", err: error },
          "registry and lake could not be compared; retrying in a moment",
        );
        await delay(retryMs, undefined, { ref: false });
      }
  };
  store.listen({ identitiesInDoubt: () => void reconcile() });
}

const replaced =
  "the registry was replaced by another one or an older copy: topics were restored from the lake; removed identities may be back, check `tidegate devices list`";
