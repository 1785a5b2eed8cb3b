export interface KinesisStreamStatus {
  readonly region: string;
  readonly streamName: string;
  readonly mode: "PROVISIONED" | "ON_DEMAND";
  readonly encryption: "NONE" | "KMS";
  readonly retentionMs: number;
  readonly openShards: number;
  /** By how much what was read last is older than the newest record, of the shard where that is the most; 0 where none is read. */
  readonly behindMs: number;
  /** What somebody should look at. */
  readonly warnings: readonly string[];
  /** Why nothing is appended now; null = it is. */
  readonly held: { readonly code: string; readonly message: string } | null;
}
