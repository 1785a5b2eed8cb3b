export type DeviceRole = "device" | "edge";

/** An authenticated identity. `edge` = a field gateway that speaks for many devices below `topicPrefix`. */
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
   * Checks a user name and secret, as far as that costs next to nothing: an identity if they are right, null
   * if either is wrong (the caller does not learn which). What needs a slow hash is returned, not run: the
   * caller bounds how many run and wait. Whoever does not know the secret must not be able to tell from the
   * time, or from the kind of answer, whether the name exists. Bounded by the caller's time-out; rejects with
   * a retryable error if the registry can't be reached.
   */
  verify(name: string, secret: Uint8Array): Promise<Identity | null | SlowCheck>;
  /** Called with the name of an identity that was removed or changed, so that its connections are closed. */
  onRevoked(listener: (name: string) => void): void;
}
