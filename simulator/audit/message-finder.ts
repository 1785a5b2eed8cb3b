import type { MessagePlan } from "../scenario/message-plan.ts";
import type { FiledRow } from "./filed-row.ts";

/** What of a row tells its message. */
type FoundRow = Pick<FiledRow, "messageId" | "payload" | "isQuarantined">;

/** Finds the messages of a run by their ids and payloads. */
export class MessageFinder {
  readonly #plan: MessagePlan;
  readonly #startedAtMs: number;
  readonly #slots: Uint32Array;
  readonly #expected: Buffer;

  constructor(plan: MessagePlan, startedAtMs: number) {
    this.#plan = plan;
    this.#startedAtMs = startedAtMs;
    this.#slots = plan.slots();
    this.#expected = Buffer.alloc(Math.max(...plan.shapes.all.map(({ document }) => document.bytes)));
  }

  /** False if the column of ids tells all messages of the run apart. */
  get needsPayload(): boolean {
    const { roles, faults, shapes } = this.#plan;
    return roles.hasReuse || faults.hasPoison || shapes.all.some(({ format }) => format === "raw");
  }

  /** The message of a row whose id begins at `idAt` of `idSource`; null = the run has no such message. */
  indexOf(row: FoundRow, idSource: Uint8Array, idAt: number): number | null {
    if (row.messageId && row.messageId.length !== this.#plan.names.idBytes) return null;
    const id = this.#plan.names.readId(idSource, idAt);
    if (!id) return null;
    const index = id.sequence * this.#plan.devices + (this.#slots[id.device] as number);
    if (index >= this.#plan.total) return null;
    return this.#plan.roles.hasReuse ? this.#sender(row, index) : index;
  }

  /**
   * The message of a row, among those that share its id: the one with the same payload, else the id's own.
   */
  #sender(row: FoundRow, idIndex: number): number {
    for (const index of this.#plan.roles.sharingId(idIndex))
      if (index < this.#plan.total && this.isPayload(row, index)) return index;
    return idIndex;
  }

  /** In quarantine the whole document counts as well, because the envelope may have been unreadable. */
  isPayload({ payload, isQuarantined }: Omit<FoundRow, "messageId">, index: number): boolean {
    if (!(payload instanceof Uint8Array)) return false;
    const { payloadStart, payloadBytes, bytes } = this.#plan.shape(index).document;
    const isWhole = payload.length === bytes && isQuarantined;
    if (payload.length !== payloadBytes && !isWhole) return false;
    this.#plan.writeDocument(this.#expected, 0, index, this.#startedAtMs);
    if (this.#expected.subarray(payloadStart, payloadStart + payloadBytes).equals(payload)) return true;
    return isWhole && this.#expected.subarray(0, bytes).equals(payload);
  }
}
