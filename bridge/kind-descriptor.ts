import type { TObject } from "@sinclair/typebox";
import { BridgeError } from "./errors.ts";

/** What a URL names: the name of its kind, and what that kind has to know. Plain data, since it is sent to other processes. */
export interface KindTarget {
  readonly kind: string;
}

export interface Login {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** How a kind that is on a server is told who asks. */
export interface ServerLogin<Target extends KindTarget> {
  /** `HOST:PORT` */
  serverOf(target: Target): string;
  of(target: Target): Login;
  with(target: Target, login: Login): Target;
}

/** What settings know of a kind of stream, window or lake. It loads nothing of what works with such a thing. */
export interface KindDescriptor<Target extends KindTarget = KindTarget> {
  readonly name: string;
  /** For people, within a sentence. */
  readonly label: string;
  /** With their colons; the first one is the common one. */
  readonly schemes: readonly string[];
  /** For people: `redis://HOST:PORT/DB`. */
  readonly urlForm: string;
  /** Settings that come with the kind, by their section. */
  readonly sections: Readonly<Record<string, TObject>>;
  /** A text = the URL is wrong, and what to write instead. */
  readUrl(url: string): Target | string;
  /** Absent = it is on no server that asks for a password. */
  readonly login?: ServerLogin<Target>;
}

/** What was read, or the words of the error that says what to write instead. */
export function readOrMend<Target>(read: () => Target): Target | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof BridgeError) return error.message;
    throw error;
  }
}
