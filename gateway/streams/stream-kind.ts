import type { TSchema } from "@sinclair/typebox";
import type { Logger } from "pino";
import type { KindTarget, StreamDescriptor } from "../../bridge/config.ts";
import type { AnswerOf } from "../schema/named-schema.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { MigrationSource } from "./migration-source.ts";
import type { StreamBackend } from "./stream-backend.ts";

/**
 * The member of broker and consumer in the status that holds the stream's own status. It is null for other
 * kinds of streams.
 */
export interface StatusMember {
  readonly name: string;
  readonly schema: TSchema;
  /** The process whose status counts if both have one. */
  readonly toldBy: "broker" | "consumer";
}

/** A flag of commands that sets a setting of the kind. */
export interface KindFlag {
  /** `create` */
  readonly name: string;
  readonly description: string;
  /** Path of a true-or-false setting. */
  readonly setting: string;
}

export interface SourceOptions {
  /** Configuration of a gateway on the old stream. */
  readonly config: GatewayConfig;
  /** URL of the new stream, without secrets. */
  readonly movedTo: string;
  readonly logger: Logger;
  /** Called with the names of gateways that still run. */
  readonly onWaiting: (names: readonly string[]) => void;
}

/** A kind of stream, as the gateway knows it. The code that opens the stream is loaded on use. */
export interface StreamKind<Target extends KindTarget = KindTarget, Status = unknown>
  extends StreamDescriptor<Target, Status> {
  /**
   * Place of topics, identities and leases. It decides whether gateways can share the stream. `window` = on
   * the window's server; if the window has no server, in the data folder.
   */
  readonly registryIn: "data folder" | "stream" | "window";
  /** True if the stream's server also holds the window by default, as the window's kind of the same name. */
  readonly holdsWindow: boolean;
  readonly status: StatusMember;
  readonly flags?: readonly KindFlag[];
  /** The server that `tidegate prove` starts for a URL that is only a scheme: one of `prove/strikes.ts`. */
  readonly proofServer?: string;
  /** Notes for the person who starts a gateway. */
  notes?(config: GatewayConfig): readonly string[];
  loadBackend(): Promise<StreamBackend>;
  /** Absent = messages of this kind of stream cannot be migrated yet. */
  loadSource?(): Promise<(options: SourceOptions) => MigrationSource>;
}

/** Makes the compiler compare the schema with the stream's status. */
export function statusMember<Status>() {
  return <Schema extends TSchema>(
    member: StatusMember & { readonly schema: Schema } & (Status extends AnswerOf<Schema> ? unknown : never),
  ): StatusMember => member;
}
