import type { PartitionLeases, StreamLog, StreamReplacement, UnreadRecords } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import type { GatewayLake, OpenedRegistry, RegistryOptions } from "../supervisor/gateway-stores.ts";
import type { CommittedPositions } from "../supervisor/messages.ts";
import type { RoleContext } from "../supervisor/run-child.ts";

/** What an end of a stream says of it. */
export interface StreamEndStatus {
  /** As `StreamKind.status` describes it; null = this end has nothing to say. */
  readonly own: unknown;
  readonly replacement: StreamReplacement | null;
}

/** The broker's end of a stream. */
export interface AppendEnd {
  readonly stream: StreamLog;
  status(): StreamEndStatus;
  /** False while it is so full that nobody more should be let in. */
  hasRoomForMore(): boolean;
  /** Once nothing is appended any more. */
  close(): Promise<void>;
  /** Told up to where the lake holds the stream, where the appending process is the one that trims. */
  committed?(committed: CommittedPositions): void;
}

/** The consumer's end of a stream. */
export interface ReadEnd {
  readonly stream: StreamLog;
  readonly leases: PartitionLeases;
  status(): StreamEndStatus;
  trim(partition: number, upTo: string): Promise<void>;
  /** True while the stream is short of room: batches are then cut at once. */
  isUnderPressure(): boolean;
  /** How long a stopping consumer may go on reading; null = to the end, since the broker has stopped before. */
  readonly drainMaxMs: number | null;
  /** Before the stream is closed. */
  stopWatching(): void;
}

export interface NewStream {
  readonly streamId: string;
  /** Folder of the old one; null where it has none, and where it stays on the same server for a week. */
  readonly movedTo: string | null;
  /** Id of the old one; null where none could be read. */
  readonly replaces: string | null;
  /** What the old one held and nobody files any more; null = unknown. */
  readonly unread: UnreadRecords | null;
}

/** What a kind of stream needs composed differently. */
export interface StreamBackend {
  /** Creates the stream where there is none and the lake knows none. Throws STREAM_GAP where stream and lake have another past. */
  openForAppending(context: RoleContext): Promise<AppendEnd>;
  openForReading(context: RoleContext): Promise<ReadEnd>;
  /** The registry that goes with the stream, for the one who administers it. */
  openRegistry(options: RegistryOptions, lake: GatewayLake): Promise<OpenedRegistry>;
  /** The same for a child. */
  openRegistryForReading(context: RoleContext): Promise<RegistryStore>;
  /** Refuses a lake that belongs to somebody else, before anything of this gateway is written there. */
  refuseLake?(config: GatewayConfig, lake: Pick<GatewayLake, "state">): Promise<void>;
  hasStream(config: GatewayConfig): Promise<boolean>;
  /** False where stream and lake don't fit, or there is no stream. */
  fitsLake(config: GatewayConfig): Promise<boolean>;
  /** Creates an empty stream where there is none, for a lake that knows another of which everything gets filed. */
  createBeside(config: GatewayConfig): Promise<void>;
  /** Puts the stream aside and creates an empty one. */
  startNew(config: GatewayConfig): Promise<NewStream>;
}
