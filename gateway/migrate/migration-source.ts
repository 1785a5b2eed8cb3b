import type { Position, StreamLog } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";

/** What a stream holds. */
export interface StreamEnds {
  readonly streamId: string;
  /** By partition. */
  readonly highest: readonly Position[];
  readonly comparePositions: StreamLog["comparePositions"];
}

/**
 * PORT: the stream that a migration empties and closes. No gateway may run on it.
 *
 * - `begin` resolves once nobody uses the stream any more. It rejects with MIGRATE_NOTHING where there is none, or was moved before, and
 *   with MIGRATE_IN_USE where somebody does not end.
 * - `close` is called when everything up to `ends` is in the lake. It rejects, and closes nothing, where more was appended since.
 */
export interface MigrationSource {
  /** For people. */
  readonly name: string;
  /** That of a gateway on it, whose consumer files everything that is left, however long it takes. */
  readonly config: GatewayConfig;
  begin(): Promise<void>;
  ends(): Promise<StreamEnds>;
  close(ends: StreamEnds): Promise<{ readonly movedTo: string | null }>;
}
