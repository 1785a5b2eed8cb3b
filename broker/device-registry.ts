export type DeviceRole = "device" | "edge";

/** An authenticated identity. `edge` = a field gateway that speaks for many devices below `topicPrefix`. */
export interface Identity {
  readonly name: string;
  readonly role: DeviceRole;
  /** For `edge`: topic names that it may publish start with one of these, e.g. `fleet/`; [] = no restriction besides the topic's own. */
  readonly topicPrefixes: readonly string[];
}

/** PORT: the identities that may connect. */
export interface DeviceRegistry {
  /**
   * Checks a user name and secret. Resolves null where either is wrong (the caller does not learn which).
   * Bounded by the caller's time-out; rejects with a retryable error where the registry can't be reached.
   */
  verify(name: string, secret: Uint8Array): Promise<Identity | null>;
  /** Called with the name of an identity that was removed or changed, so that its connections are closed. */
  onRevoked(listener: (name: string) => void): void;
}
