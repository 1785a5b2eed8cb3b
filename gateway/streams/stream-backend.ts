import type { PartitionLeases, UpkeepLease } from "../../bridge/leases/index.ts";
import type { StreamLog, StreamReplacement, UnreadRecords } from "../../bridge/streams/index.ts";
import type { CommittedPositions } from "../processes/messages.ts";
import type { RoleContext } from "../processes/run-child.ts";
import type { GatewayLake, OpenedRegistry, RegistryOptions } from "../registry/gateway-stores.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";

/** The status of a stream, as one end reports it. */
export interface StreamEndStatus {
  /** As `StreamKind.status` describes it; null = this end has no status. */
  readonly own: unknown;
  readonly replacement: StreamReplacement | null;
}

/** The broker's end of a stream. */
export interface AppendEnd {
  readonly stream: StreamLog;
  status(): StreamEndStatus;
  /** False while the stream is so full that no further client may connect. */
  hasRoomForMore(): boolean;
  /** Call this after the last append. */
  close(): Promise<void>;
  /** Receives the committed positions, if the appending process trims the stream. */
  committed?(committed: CommittedPositions): void;
}

/** The consumer's end of a stream. */
export interface ReadEnd {
  readonly stream: StreamLog;
  readonly leases: PartitionLeases;
  status(): StreamEndStatus;
  trim(partition: number, upTo: string): Promise<void>;
  /** True while the stream is short of space: batches are then committed early. */
  isUnderPressure(): boolean;
  /**
   * How long a stopping consumer may continue to read; null = to the end, because the broker has stopped
   * before.
   */
  readonly drainMaxMs: number | null;
  /** Call this before the stream is closed. */
  stopWatching(): void;
}

export interface NewStream {
  readonly streamId: string;
  /** Folder of the old stream; null if it has none. On a server, the old stream stays for a week. */
  readonly movedTo: string | null;
  /** Id of the old stream; null if no stream could be read. */
  readonly replaces: string | null;
  /** Unfiled messages of the old stream that are discarded; null = unknown. */
  readonly unread: UnreadRecords | null;
}

/** How to open and create a kind of stream, and its registry. */
export interface StreamBackend {
  /**
   * Creates the stream if it is missing and the lake knows none. Throws STREAM_GAP if stream and lake do not
   * fit together.
   */
  openForAppending(context: RoleContext): Promise<AppendEnd>;
  openForReading(context: RoleContext): Promise<ReadEnd>;
  /**
   * The lease of the lake's upkeep; null = no other gateway shares the stream. Absent = none ever does.
   */
  openUpkeepLease?(context: RoleContext, lakeId: string): Promise<UpkeepLease | null>;
  /** The registry that belongs to the stream, for the supervisor. */
  openRegistry(options: RegistryOptions, lake: GatewayLake): Promise<OpenedRegistry>;
  /** The registry for a child. */
  openRegistryForReading(context: RoleContext): Promise<RegistryStore>;
  /** Refuses a lake that belongs to another gateway, before this gateway writes there. */
  refuseLake?(config: GatewayConfig, lake: Pick<GatewayLake, "state">): Promise<void>;
  hasStream(config: GatewayConfig): Promise<boolean>;
  /** False if stream and lake do not fit together, or there is no stream. */
  fitsLake(config: GatewayConfig): Promise<boolean>;
  /**
   * Creates an empty stream if it is missing, for a lake that knows another stream. All messages of that one
   * are filed first.
   */
  createBeside(config: GatewayConfig): Promise<void>;
  /** Moves the stream aside and creates an empty one. */
  startNew(config: GatewayConfig): Promise<NewStream>;
}
