/**
 * PORT: whether it makes sense to let more clients in.
 *
 * While `isOpen` is false, CONNECT is answered with return code 3 (server unavailable) and the connection closed, each time counted as
 * `no-room`; clients that are connected stay, and their messages wait unacknowledged as long as the sink takes none. It is read once for
 * each CONNECT: it must answer from memory.
 */
export interface Admission {
  readonly isOpen: boolean;
}

export const alwaysOpen: Admission = { isOpen: true };
