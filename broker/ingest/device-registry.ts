export type DeviceRole = "device" | "edge";

/** An authenticated identity. `edge` = a field gateway that speaks for the devices below `topicPrefixes`. */
export interface Identity {
  readonly name: string;
  readonly role: DeviceRole;
  /**
   * For `edge`: topic names that it may publish start with one of these, e.g. `fleet/`; [] = no restriction
   * besides the topic's own.
   */
  readonly topicPrefixes: readonly string[];
}

/** Says whether the secret is right, by a hash that is slow on purpose. Rejects like `verify`. */
export type SlowCheck = () => Promise<Identity | null>;

/** PORT: the identities that may connect. */
export interface DeviceRegistry {
  /**
   * Checks a user name and secret as far as that is cheap: an identity if both are right, null if either is
   * wrong. The caller does not learn which one is wrong. A slow hash is returned, not run: the caller bounds
   * how many run and wait.
   *
   * A client that does not know the secret must not learn whether the name exists, neither from the time nor
   * from the kind of answer. The caller's time-out bounds the call. Rejects with a retryable error if the
   * registry cannot be reached.
   */
  verify(name: string, secret: Uint8Array): Promise<Identity | null | SlowCheck>;
  /** Called with the name of an identity that was removed or changed, so that its connections are closed. */
  onRevoked(listener: (name: string) => void): void;
}
