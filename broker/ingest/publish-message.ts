/** A message as its front end read it. */
export interface PublishMessage {
  readonly topic: string;
  /** May be a view into a read chunk: copy it to keep it. */
  readonly payload: Uint8Array;
  /**
   * 1 and 2: the sender must learn when the message is durable. 0: the sender gets no answer, and the message
   * may be dropped under pressure.
   */
  readonly qos: 0 | 1 | 2;
}
