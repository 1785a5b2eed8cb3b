import type { Position, StreamLog } from "../../bridge/streams/index.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";

/** The ends of a stream. */
export interface StreamEnds {
  readonly streamId: string;
  /** By partition. */
  readonly highest: readonly Position[];
  readonly comparePositions: StreamLog["comparePositions"];
}

/**
 * PORT: the stream that a migration drains and closes. No gateway may run on it.
 *
 * - `begin` resolves once no gateway uses the stream. It rejects with MIGRATE_NOTHING if there is no stream
 *   or it was migrated before, and with MIGRATE_IN_USE if a gateway does not end.
 * - `close` is called when all messages up to `ends` are in the lake. If more were appended since, it rejects
 *   and does not close the stream.
 */
export interface MigrationSource {
  /** Name of the stream in texts for people. */
  readonly name: string;
  /**
   * Configuration of a gateway on the stream. Its consumer files all remaining messages, without a time
   * limit.
   */
  readonly config: GatewayConfig;
  begin(): Promise<void>;
  ends(): Promise<StreamEnds>;
  close(ends: StreamEnds): Promise<{ readonly movedTo: string | null }>;
}
