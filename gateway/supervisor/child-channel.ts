import type { ChildProcess } from "node:child_process";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { GatewayError } from "../errors.ts";
import type {
  ChildRequests,
  FromChild,
  Refusal,
  RequestKind,
  RoleName,
  ToChild,
} from "../processes/messages.ts";

/** The failure that a child answered a request with, under the code that it raised. */
export class ChildError extends CodedError {
  constructor(refusal: Refusal) {
    super(refusal.code, refusal.message, { retryable: refusal.retryable });
  }
}

/** Messages that wait to leave for a child. */
const unsentMax = 64;

interface OpenRequest {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The supervisor's end of the channel to a child: messages that leave, and requests that wait for an answer.
 */
export class ChildChannel {
  readonly #role: RoleName;
  #process: ChildProcess | null = null;
  #nextRequest = 1;
  readonly #requests = new Map<number, OpenRequest>();
  /** Callbacks of messages that have not left yet. */
  readonly #unsent = new Set<() => void>();

  constructor(role: RoleName) {
    this.#role = role;
  }

  open(process: ChildProcess): void {
    this.#process = process;
  }

  /** `sent` is called once the message has left, or cannot leave. */
  send(message: ToChild, sent: () => void = () => {}): void {
    const child = this.#process;
    // A child that has just ended receives no message; its `close` event follows.
    if (!child?.connected) {
      sent();
      return;
    }
    const done = (): void => {
      if (this.#unsent.delete(done)) sent();
    };
    this.#unsent.add(done);
    child.send(message, done);
  }

  /** Rejects with CHILD_UNREACHABLE (retryable) if no answer comes in time. */
  request<Kind extends RequestKind>(
    kind: Kind,
    ask: ChildRequests[Kind]["ask"],
    timeoutMs: number,
  ): Promise<ChildRequests[Kind]["answer"]> {
    return new Promise((resolve, reject) => {
      // A stopped process reads nothing from its channel, and monitors ask again and again.
      if (this.#unsent.size >= unsentMax) return reject(unreachable(`The ${this.#role} does not answer.`));
      const id = this.#nextRequest++;
      const timer = setTimeout(
        () => settle(() => reject(unreachable(`The ${this.#role} did not answer.`))),
        timeoutMs,
      );
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#requests.delete(id);
        done();
      };
      this.#requests.set(id, {
        resolve: (answer) => settle(() => resolve(answer as ChildRequests[Kind]["answer"])),
        reject: (error) => settle(() => reject(error)),
      });
      this.send({ type: "request", id, kind, ask });
    });
  }

  /** Settles the request that the message answers. */
  received(message: FromChild): void {
    if (message.type === "answer") this.#requests.get(message.id)?.resolve(message.answer);
    else if (message.type === "failure")
      this.#requests.get(message.id)?.reject(new ChildError(message.refusal));
  }

  /** The process has ended: its requests fail, and its messages can no longer leave. */
  close(): void {
    this.#process = null;
    for (const request of [...this.#requests.values()])
      request.reject(unreachable(`The ${this.#role} ended.`));
    for (const done of [...this.#unsent]) done();
  }
}

export function unreachable(message: string): GatewayError {
  return new GatewayError("CHILD_UNREACHABLE", message, { retryable: true });
}
