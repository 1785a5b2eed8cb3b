export interface DeviceClientStatus {
  readonly isConnected: boolean;
  /** Messages in the outbox, and their bytes on disk. */
  readonly messages: number;
  readonly bytes: number;
  readonly inFlight: number;
  /** Since `open`: */
  readonly published: number;
  readonly acknowledged: number;
  readonly resent: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly damaged: number;
  readonly connects: number;
}
