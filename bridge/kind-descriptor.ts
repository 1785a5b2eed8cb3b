import type { TObject } from "@sinclair/typebox";
import { BridgeError } from "./errors.ts";

/**
 * A parsed URL: the name of its kind, and what that kind needs to know. Plain data, because other processes
 * receive it.
 */
export interface KindTarget {
  readonly kind: string;
}

export interface Login {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** How the user name and password of a server are read from a target and put into it. */
export interface ServerLogin<Target extends KindTarget> {
  /** `HOST:PORT` */
  serverOf(target: Target): string;
  of(target: Target): Login;
  with(target: Target, login: Login): Target;
}

/**
 * What settings know of a kind of stream, window or lake. A descriptor loads none of the code that opens
 * one.
 */
export interface KindDescriptor<Target extends KindTarget = KindTarget> {
  readonly name: string;
  /** Name in the middle of a sentence for people. */
  readonly label: string;
  /** URL schemes with their colons; the first is the usual one. */
  readonly schemes: readonly string[];
  /** The form of the URL for people, such as `redis://HOST:PORT/DB`. */
  readonly urlForm: string;
  /** The settings of the kind, by their section. */
  readonly sections: Readonly<Record<string, TObject>>;
  /** The parsed URL. A string says why the URL is wrong and what to write instead. */
  readUrl(url: string): Target | string;
  /** Absent if the kind has no server that asks for a password. */
  readonly login?: ServerLogin<Target>;
}

/** The result of `read`, or the text of its BridgeError, which says what to write instead. */
export function readOrMend<Target>(read: () => Target): Target | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof BridgeError) return error.message;
    throw error;
  }
}
