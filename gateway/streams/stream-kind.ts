import type { TSchema } from "@sinclair/typebox";
import type { Logger } from "pino";
import type { KindTarget, StreamDescriptor } from "../../bridge/config.ts";
import type { AnswerOf } from "../api/schemas/named-schema.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { MigrationSource } from "../migrate/migration-source.ts";
import type { StreamBackend } from "./stream-backend.ts";

/** The member of broker and consumer in the status that holds what the stream says of itself. It is null for other kinds of streams. */
export interface StatusMember {
  readonly name: string;
  readonly schema: TSchema;
  /** Whose word counts if both processes say something. */
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
  /** Of a gateway on the stream to leave. */
  readonly config: GatewayConfig;
  /** URL of the stream to go on with, without secrets. */
  readonly movedTo: string;
  readonly logger: Logger;
  /** Told of gateways that are waited for. */
  readonly onWaiting: (names: readonly string[]) => void;
}

/** A kind of stream: what the gateway has to know of it. What works with the stream is loaded when it is used. */
export interface StreamKind<Target extends KindTarget = KindTarget, Status = unknown>
  extends StreamDescriptor<Target, Status> {
  /**
   * Where topics, identities and leases are, which decides whether gateways can share the stream. `window` = on the window's server;
   * if the window has none, in the data folder.
   */
  readonly registryIn: "data folder" | "stream" | "window";
  /** True if a window of the same name is kept on the stream's server, unless another one is named. */
  readonly holdsWindow: boolean;
  readonly status: StatusMember;
  readonly flags?: readonly KindFlag[];
  /** Which server of its own `tidegate prove` starts for a URL that is nothing but the scheme: one of `prove/strikes.ts`. */
  readonly proofServer?: string;
  /** What somebody who starts a gateway should know. */
  notes?(config: GatewayConfig): readonly string[];
  loadBackend(): Promise<StreamBackend>;
  /** Absent = there is no way yet that leads from such a stream to another one. */
  loadSource?(): Promise<(options: SourceOptions) => MigrationSource>;
}

/** The compiler compares the schema with what the stream says of itself. */
export function statusMember<Status>() {
  return <Schema extends TSchema>(
    member: StatusMember & { readonly schema: Schema } & (Status extends AnswerOf<Schema> ? unknown : never),
  ): StatusMember => member;
}
