import { Bitmap } from "../ledger/bitmap.ts";
import type { RunLedger } from "../ledger/ledger-reader.ts";
import { MessagePlan } from "../scenario/message-plan.ts";
import type { AuditExamples } from "./audit-examples.ts";

/** One row of a table or of `_quarantine`. */
export interface FiledRow {
  readonly isQuarantined: boolean;
  readonly deviceId: unknown;
  readonly topic: unknown;
  readonly messageId: Uint8Array | null;
  /** µs since the epoch. */
  readonly eventTimeUs: unknown;
  readonly payload: unknown;
  /** The data file that holds it, for messages to people. */
  readonly file: string;
}

export interface RunCounts {
  readonly sent: number;
  readonly acked: number;
  /** Messages in a table. */
  readonly stored: number;
  readonly quarantined: number;
  /** Poison that was acknowledged or is filed: what `quarantined` must be. */
  readonly plannedPoison: number;
  /** Acknowledged, and in no table nor quarantine. */
  readonly lost: number;
  /** Rows beyond the first of their message, tables and quarantine together. */
  readonly duplicated: number;
  /** Rows with an id of the run that no message of it has, or whose message was not sent. */
  readonly phantom: number;
  /** Rows whose payload, topic, device or event time is not what was sent. */
  readonly altered: number;
  /** Filed, though the fleet never saw the acknowledgement. */
  readonly unackedStored: number;
  /** Further rows of poison without a readable id, which no gateway can tell from a new message. */
  readonly anonymousCopies: number;
}

/** What was filed of one run, held against what its ledger says and its seed makes of it. */
export class RunBook {
  readonly ledger: RunLedger;
  /** Ids of the run begin with it. */
  readonly idPrefix: Buffer;
  readonly #plan: MessagePlan;
  readonly #slots: Uint32Array;
  readonly #stored: Bitmap;
  readonly #quarantined: Bitmap;
  readonly #expected: Buffer;
  #duplicated = 0;
  #phantom = 0;
  #altered = 0;
  #anonymousCopies = 0;

  constructor(ledger: RunLedger) {
    this.ledger = ledger;
    this.#plan = new MessagePlan(ledger.header.scenario);
    this.#slots = this.#plan.slots();
    this.#stored = new Bitmap(this.#plan.total);
    this.#quarantined = new Bitmap(this.#plan.total);
    this.#expected = Buffer.alloc(this.#plan.document.bytes);
    this.idPrefix = Buffer.from(`${ledger.header.scenario.runId}.`, "latin1");
  }

  /** Forgets all rows. */
  reset(): void {
    this.#stored.clear();
    this.#quarantined.clear();
    this.#duplicated = 0;
    this.#phantom = 0;
    this.#altered = 0;
    this.#anonymousCopies = 0;
  }

  /** Takes a row whose id, which begins at `idAt` of `idSource`, has this run's prefix. */
  judge(row: FiledRow, idSource: Uint8Array, idAt: number, examples: AuditExamples): void {
    const index = this.#indexOf(row, idSource, idAt);
    if (index === null || !this.ledger.mayHaveBeenSent(index)) {
      this.#phantom++;
      const id = Buffer.from(idSource.subarray(idAt, idAt + this.#plan.names.idBytes)).toString("latin1");
      examples.add(
        "phantom",
        `${id} in ${row.file}: ${index === null ? "the run has no such message" : "it was never sent"}`,
      );
      return;
    }
    this.#count(row, index, examples);
    const faults = this.#differences(row, index);
    if (faults.length === 0) return;
    this.#altered++;
    examples.add("altered", `${this.messageId(index)} in ${row.file}: ${faults.join("; ")}`);
  }

  messageId(index: number): string {
    const bytes = Buffer.alloc(this.#plan.names.idBytes);
    this.#plan.names.writeId(bytes, 0, this.#plan.device(index), this.#plan.sequence(index));
    return bytes.toString("latin1");
  }

  deviceId(index: number): string {
    return this.#plan.names.deviceId(this.#plan.device(index));
  }

  /** Acknowledged messages that are nowhere, in order. */
  lost(): Generator<number> {
    return this.ledger.acked.without(this.#stored, this.#quarantined);
  }

  /** Messages that are quarantined and were not to be. */
  *wronglyQuarantined(): Generator<number> {
    for (const index of this.#quarantined.without()) if (!this.#plan.faults.poison(index)) yield index;
  }

  counts(): RunCounts {
    const acked = this.ledger.acked.count;
    let lost = 0;
    for (const _ of this.lost()) lost++;
    const filed = this.#stored.count + this.#quarantined.count;
    return {
      sent: this.ledger.sent.count,
      acked,
      stored: this.#stored.count,
      quarantined: this.#quarantined.count,
      plannedPoison: this.#plannedPoison(),
      lost,
      duplicated: this.#duplicated,
      phantom: this.#phantom,
      altered: this.#altered,
      unackedStored: filed - (acked - lost),
      anonymousCopies: this.#anonymousCopies,
    };
  }

  #indexOf(row: FiledRow, idSource: Uint8Array, idAt: number): number | null {
    if (row.messageId && row.messageId.length !== this.#plan.names.idBytes) return null;
    const id = this.#plan.names.readId(idSource, idAt);
    if (!id) return null;
    const index = id.sequence * this.#plan.devices + (this.#slots[id.device] as number);
    return index < this.#plan.total ? index : null;
  }

  #count(row: FiledRow, index: number, examples: AuditExamples): void {
    const isKnown = this.#stored.has(index) || this.#quarantined.has(index);
    if (!isKnown) (row.isQuarantined ? this.#quarantined : this.#stored).add(index);
    else if (row.messageId === null && this.#plan.faults.poison(index)) this.#anonymousCopies++;
    else {
      this.#duplicated++;
      examples.add("duplicated", `${this.messageId(index)} again in ${row.file}`);
    }
  }

  #differences(row: FiledRow, index: number): string[] {
    const plan = this.#plan;
    const faults: string[] = [];
    const poison = plan.faults.poison(index);
    const { startedAtMs } = this.ledger.header;
    const deviceId = this.deviceId(index);
    if (row.deviceId !== deviceId) faults.push(`device_id is ${String(row.deviceId)}, not ${deviceId}`);
    if (row.topic !== plan.names.topicName(plan.device(index))) faults.push(`topic is ${String(row.topic)}`);
    plan.writeDocument(this.#expected, 0, index, startedAtMs);
    if (!this.#isPayload(row)) faults.push("the payload is not what was sent");
    if (row.isQuarantined) return faults;
    if (poison) faults.push("it is filed in a table, though it cannot be decoded");
    if (row.messageId === null) faults.push("message_id is missing");
    const eventTimeMs = plan.eventTimeMs(index, startedAtMs);
    if (row.eventTimeUs !== eventTimeMs * 1000)
      faults.push(`event_time is ${Number(row.eventTimeUs) / 1000} ms, not ${eventTimeMs} ms`);
    return faults;
  }

  /** In quarantine, where the envelope may not have been readable, the whole document counts as well. */
  #isPayload({ payload, isQuarantined }: FiledRow): boolean {
    if (!(payload instanceof Uint8Array)) return false;
    const { payloadStart, payloadBytes } = this.#plan.document;
    if (this.#expected.subarray(payloadStart, payloadStart + payloadBytes).equals(payload)) return true;
    return isQuarantined && this.#expected.equals(payload);
  }

  #plannedPoison(): number {
    if (!this.#plan.faults.hasPoison) return 0;
    let planned = 0;
    for (let index = 0; index < this.#plan.total; index++) {
      if (!this.#plan.faults.poison(index)) continue;
      if (this.ledger.acked.has(index) || this.#quarantined.has(index) || this.#stored.has(index)) planned++;
    }
    return planned;
  }
}
