import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { makeFolderDurably, syncEntry } from "../../devices/protocol/durable-folder.ts";
import { SimulatorError } from "../errors.ts";
import { totalMessages } from "../scenario/scenario.ts";
import { endFrame, horizonFrame, IndexListFrame, timeFrame } from "./ledger-frame.ts";
import { eventsFile, headerFile, headerText, type RunHeader, runFolderPrefix } from "./run-header.ts";

/** Folders of the runs in a ledger folder. [] if there is no such folder. */
export function runFolders(ledgerFolder: string): string[] {
  try {
    return readdirSync(ledgerFolder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name.startsWith(runFolderPrefix))
      .map((entry) => join(ledgerFolder, entry.name))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw writeFailed(ledgerFolder, error);
  }
}

/** Makes the folder. Throws LEDGER_EXISTS if the folder holds a run already and `append` is false. */
export function prepareLedgerFolder(ledgerFolder: string, append: boolean): void {
  try {
    makeFolderDurably(ledgerFolder);
  } catch (error) {
    throw writeFailed(ledgerFolder, error);
  }
  if (append || runFolders(ledgerFolder).length === 0) return;
  throw new SimulatorError(
    "LEDGER_EXISTS",
    `--ledger ${ledgerFolder} holds the ledger of another run: name a new folder, or add this run to it with --append (the audit then covers both)`,
    { retryable: false },
  );
}

/** Messages that one horizon entry covers, in seconds of the run. */
const horizonS = 1;
const horizonMessagesMin = 1000;

/**
 * The ledger of one running run. Its content survives a kill of the simulator (the kernel has it); a power
 * cut may tear its end.
 *
 * Announce a message's index with `reach` before the message may leave this process, so that the ledger knows
 * every stored row. If a write fails, `fault` is set (LEDGER_WRITE_FAILED): no more messages may be published
 * then.
 */
export class LedgerWriter {
  /** Why the ledger can no longer be written. */
  fault: SimulatorError | null = null;
  readonly #file: number;
  readonly #path: string;
  readonly #total: number;
  readonly #horizonStep: number;
  readonly #startedAtMs: number;
  readonly #sent = new IndexListFrame("sent");
  readonly #acked = new IndexListFrame("acked");
  readonly #gaveUp = new IndexListFrame("gaveUp");
  readonly #delivered = new IndexListFrame("delivered");
  readonly #again = new IndexListFrame("again");
  #horizon = 0;

  constructor(ledgerFolder: string, header: RunHeader) {
    const folder = join(ledgerFolder, runFolderPrefix + header.scenario.runId);
    this.#path = join(folder, eventsFile);
    this.#total = totalMessages(header.scenario);
    this.#startedAtMs = header.startedAtMs;
    this.#horizonStep = Math.max(horizonMessagesMin, Math.ceil(header.scenario.rate * horizonS));
    try {
      mkdirSync(folder);
      this.#file = openSync(this.#path, "wx");
      const head = join(folder, headerFile);
      writeFileSync(`${head}.new`, headerText(header), { flush: true });
      renameSync(`${head}.new`, head);
      syncEntry(folder);
      syncEntry(ledgerFolder);
    } catch (error) {
      throw writeFailed(folder, error);
    }
  }

  /** False if the message must not be published, because the ledger cannot be written. */
  reach(index: number): boolean {
    if (index < this.#horizon) return this.fault === null;
    this.#append(horizonFrame(Math.min(this.#total, index + this.#horizonStep)));
    if (this.fault) return false;
    this.#horizon = Math.min(this.#total, index + this.#horizonStep);
    return true;
  }

  sent(index: number): void {
    this.#add(this.#sent, index);
  }

  acked(index: number): void {
    this.#add(this.#acked, index);
  }

  gaveUp(index: number): void {
    this.#add(this.#gaveUp, index);
  }

  /** Published without a possible acknowledgement, to a gateway that stayed up. */
  delivered(index: number): void {
    this.#add(this.#delivered, index);
  }

  /** Published once more, out of its device's order. */
  again(index: number): void {
    this.#add(this.#again, index);
  }

  /**
   * Hands everything to the kernel, with the time. Call this a few times a second.
   * @param nowMs By the clock of the run's start.
   */
  flush(nowMs = Date.now()): void {
    for (const list of [this.#sent, this.#acked, this.#gaveUp, this.#delivered, this.#again])
      if (!list.isEmpty) this.#append(list.take());
    this.#append(timeFrame(Math.max(0, nowMs - this.#startedAtMs)));
  }

  /** Marks the ledger as complete. Throws LEDGER_WRITE_FAILED if the write fails. */
  close(): void {
    this.flush();
    this.#append(endFrame());
    if (this.fault) throw this.fault;
    try {
      fsyncSync(this.#file);
      closeSync(this.#file);
    } catch (error) {
      throw writeFailed(this.#path, error);
    }
  }

  #add(list: IndexListFrame, index: number): void {
    list.add(index);
    if (list.isFull) this.#append(list.take());
  }

  #append(frame: Uint8Array): void {
    if (this.fault) return;
    try {
      for (let written = 0; written < frame.length; )
        written += writeSync(this.#file, frame, written, frame.length - written);
    } catch (error) {
      this.fault = writeFailed(this.#path, error);
    }
  }
}

function writeFailed(path: string, cause: unknown): SimulatorError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new SimulatorError("LEDGER_WRITE_FAILED", `the ledger ${path} can't be written: ${reason}`, {
    retryable: false,
    cause,
  });
}
