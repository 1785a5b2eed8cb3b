/**
 * PORT: whether it makes sense to let more clients in.
 *
 * While `isOpen` is false, new clients are refused with `no-room`, each time counted. Clients that are
 * connected stay, and their messages wait unacknowledged as long as the sink takes none. It is read once for
 * each new client: it must answer from memory.
 */
export interface Admission {
  readonly isOpen: boolean;
}

export const alwaysOpen: Admission = { isOpen: true };
