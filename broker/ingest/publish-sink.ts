/** One accepted message on a telemetry topic, judged without looking into its payload. */
export interface IngressPublish {
  readonly topicId: string;
  /** The version of the topic object that judged this message; the consumer decodes with exactly this one. */
  readonly topicVersion: number;
  /** The topic name as published. */
  readonly topicName: string;
  readonly deviceId: string;
  readonly qos: 0 | 1 | 2;
  /** May be a view into a socket read chunk: the sink copies bytes that it keeps after this call. */
  readonly payload: Uint8Array;
}

/**
 * PORT: the destination of accepted messages. The ingest core declares it, the bridge's producer implements
 * it.
 *
 * `accept` never throws and never blocks. It calls `settled` exactly once, later than its own return:
 * - without an error: the message is durable in the stream (G1); only then may a front end acknowledge it;
 * - with an error: the message could not become durable in time and must not be acknowledged.
 *
 * Messages of one device settle in the order of acceptance, and are filed in that order (G5). If the sink is
 * full, it drops QoS 0 messages, counts them, and settles them with an error.
 */
export interface PublishSink {
  accept(publish: IngressPublish, settled: (error?: Error) => void): void;
  /**
   * True while the byte budget is used up: front ends stop reading from publishing connections until
   * `onDrain`.
   */
  readonly isFull: boolean;
  /** Registers the only listener that is called when a full sink has room again. */
  onDrain(listener: () => void): void;
}
