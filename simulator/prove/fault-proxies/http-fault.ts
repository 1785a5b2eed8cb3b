import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/** The part of a call that is known before its body. */
export interface HttpHead {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The name of the call at its service: `PutRecords`, `PutObject`. */
  readonly operation: string;
}

export interface HttpRequest extends HttpHead {
  readonly body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
  /** Where set, the connection is reset after so much of the body. */
  readonly cutAfterBytes?: number;
}

/** `reset`: the connection is reset without an answer; `silence`: it stays open, and never gets one. */
export type HttpOutcome = HttpAnswer | "reset" | "silence";

/** The server's answer, which the fault had to see before it found nothing to strike. */
export interface Unharmed {
  readonly unharmed: HttpAnswer;
}

export interface HttpCall {
  readonly request: HttpRequest;
  /** Asks the server, with another body if one is given. May be called more than once, or never. */
  forward(body?: Buffer): Promise<HttpAnswer>;
  readonly random: () => number;
  /** Adds to the proxy's counter of this name. */
  count(name: string, by: number): void;
  /** Aborted when the proxy is closed. */
  readonly signal: AbortSignal;
}

export interface HttpFault {
  /** Its strikes are counted under this name. */
  readonly name: string;
  /**
   * null: there was nothing to strike here, and the call is still to be forwarded. Only struck calls are
   * counted.
   */
  strike(call: HttpCall): Promise<HttpOutcome | Unharmed | null>;
}

/** The connection is reset before the server hears of the call. */
export function resetBefore(): HttpFault {
  return { name: "resetBefore", strike: async () => "reset" };
}

/** The server does it, then the connection is reset. */
export function resetAfter(): HttpFault {
  return {
    name: "resetAfter",
    strike: async (call) => {
      await call.forward();
      return "reset";
    },
  };
}

/** The server never hears of the call, and the client no answer. */
export function timeOutBefore(): HttpFault {
  return { name: "timeOutBefore", strike: async () => "silence" };
}

/** The server does it, but the client hears no answer. */
export function timeOutAfterSuccess(): HttpFault {
  return {
    name: "timeOutAfterSuccess",
    strike: async (call) => {
      await call.forward();
      return "silence";
    },
  };
}

/** The call reaches the server only after that long; the client waits for the answer. */
export function slow(delayMs: number): HttpFault {
  return {
    name: "slow",
    strike: async (call) => {
      await delay(delayMs, undefined, { signal: call.signal });
      return call.forward();
    },
  };
}

/** The server answers at once, the client hears it only after that long. */
export function slowAnswer(delayMs: number): HttpFault {
  return {
    name: "slowAnswer",
    strike: async (call) => {
      const answer = await call.forward();
      await delay(delayMs, undefined, { signal: call.signal });
      return answer;
    },
  };
}

/**
 * The connection is reset now. The call reaches the server only after `afterMs`, when the client may have
 * tried again or died.
 */
export function late(afterMs: number): HttpFault {
  return {
    name: "late",
    strike: async (call) => {
      delay(afterMs, undefined, { signal: call.signal })
        .then(() => call.forward())
        .then(() => call.count("lateDone", 1))
        // The proxy was closed, or the server is away: then it never happens.
        .catch(() => call.count("lateNever", 1));
      return "reset";
    },
  };
}

/** Like `late`, but the calls wait until they are let go. */
export class HeldCalls implements HttpFault {
  readonly name = "held";
  readonly #held: HttpCall[] = [];

  get size(): number {
    return this.#held.length;
  }

  async strike(call: HttpCall): Promise<HttpOutcome> {
    this.#held.push(call);
    return "reset";
  }

  /** Lets the server have them, one after another; resolves with its answers. */
  async release(): Promise<HttpAnswer[]> {
    const answers: HttpAnswer[] = [];
    for (const call of this.#held.splice(0)) answers.push(await call.forward());
    return answers;
  }
}

/** The connection is reset in the middle of the answer's body. */
export function cutAnswer(): HttpFault {
  return {
    name: "cutAnswer",
    strike: async (call) => {
      const answer = await call.forward();
      if (answer.body.length < 2) return { unharmed: answer };
      return { ...answer, cutAfterBytes: answer.body.length >> 1 };
    },
  };
}

/** As a captive portal (200) or a load balancer without servers (502, 503) answers. */
export function htmlAnswer(status = 200): HttpFault {
  return {
    name: "htmlAnswer",
    strike: async () => ({
      status,
      headers: { "content-type": "text/html; charset=utf-8" },
      body: Buffer.from("<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>\n"),
    }),
  };
}

/** The server is not asked; the client hears this error. */
export function errorBefore(name: string, answer: HttpAnswer): HttpFault {
  return { name, strike: async () => answer };
}

/** The server does it, but the client hears this error. */
export function errorAfter(name: string, answer: HttpAnswer): HttpFault {
  return {
    name,
    strike: async (call) => {
      await call.forward();
      return answer;
    },
  };
}

/**
 * Answers like a server whose clock is ahead by `skewMs` (negative: behind). Calls that are signed too far
 * from its time are refused, and its Date headers show its own time. Clients that correct their clock get
 * through.
 */
export function clockSkew(skewMs: number, toleranceMs: number, refused: HttpAnswer): HttpFault {
  return {
    name: "clockSkew",
    strike: async (call) => {
      const date = new Date(Date.now() + skewMs);
      const signedMs = signedAtMs(call.request.headers["x-amz-date"]);
      if (Math.abs(signedMs - date.getTime()) <= toleranceMs) return null;
      return { ...refused, headers: { ...refused.headers, date: date.toUTCString() } };
    },
  };
}

/** @param text As SigV4 has it: 20261123T063000Z. */
function signedAtMs(text: string | string[] | undefined): number {
  const iso = String(text ?? "").replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
  return Date.parse(iso) || 0;
}
