export interface KinesisStreamStatus {
  readonly region: string;
  readonly streamName: string;
  readonly mode: "PROVISIONED" | "ON_DEMAND";
  readonly encryption: "NONE" | "KMS";
  readonly retentionMs: number;
  readonly openShards: number;
  /**
   * Lag of the shard that lags most: how much older the last record read is than the newest one, ms; 0 if no
   * shard is read.
   */
  readonly behindMs: number;
  /** Warnings for the operator. */
  readonly warnings: readonly string[];
  /** Why appends are held; null = they are not. */
  readonly held: { readonly code: string; readonly message: string } | null;
}
