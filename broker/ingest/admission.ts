/**
 * PORT: whether to admit more clients.
 *
 * While `isOpen` is false, new clients are refused with `no-room`, and each refusal is counted. Connected
 * clients stay, and their messages wait unacknowledged until the sink accepts more. Read once for each new
 * client, so the answer must come from memory.
 */
export interface Admission {
  readonly isOpen: boolean;
}

export const alwaysOpen: Admission = { isOpen: true };
