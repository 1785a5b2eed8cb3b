/** A message as its front end read it. */
export interface PublishMessage {
  readonly topic: string;
  /** May be a view into a read chunk: whoever keeps it copies it. */
  readonly payload: Uint8Array;
  /**
   * 1 and 2: the sender wants to know that it is durable. 0: it does not, and the message may be dropped
   * under pressure.
   */
  readonly qos: 0 | 1 | 2;
}
