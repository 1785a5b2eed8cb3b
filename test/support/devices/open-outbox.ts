import { readdirSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { DeviceError, type DeviceErrorCode } from "../../../devices/errors.ts";
import { Outbox, type OutboxOptions } from "../../../devices/outbox/outbox.ts";
import { fileHandlePrototype } from "./power-cut.ts";

export interface Seen {
  readonly dropped: { messages: number; upTo: number }[];
  readonly damaged: number[];
  readonly failed: DeviceError[];
}

export async function openOutbox(
  folder: string,
  options: Partial<OutboxOptions> = {},
): Promise<{ outbox: Outbox; seen: Seen }> {
  const seen: Seen = { dropped: [], damaged: [], failed: [] };
  const outbox = await Outbox.open({
    folder,
    maxBytes: 65_536,
    whenFull: "reject",
    settleLingerMs: 0,
    observer: {
      stored: () => undefined,
      dropped: (drop) => seen.dropped.push(drop),
      damaged: ({ messages }) => seen.damaged.push(messages),
      failed: (error) => seen.failed.push(error),
    },
    ...options,
  });
  return { outbox, seen };
}

export const append = (outbox: Outbox, payload: string | Uint8Array) =>
  outbox.append("t", () => Buffer.from(payload));

export async function readAll(outbox: Outbox): Promise<{ sequence: number; text: string; id: Uint8Array }[]> {
  const all = [];
  for (;;) {
    const messages = await outbox.read({ maxBytes: 65_536, maxMessages: 100 });
    if (messages.length === 0) return all;
    all.push(
      ...messages.map(({ sequence, payload, id }) => ({
        sequence,
        id,
        text: Buffer.from(payload).toString(),
      })),
    );
  }
}

export const isError = (code: DeviceErrorCode, retryable: boolean) => (error: unknown) =>
  error instanceof DeviceError && error.code === code && error.retryable === retryable;

export const segmentFiles = (folder: string) =>
  readdirSync(folder).filter((name) => name.endsWith(".segment"));

export async function withPatched<Name extends "write" | "datasync">(
  name: Name,
  patch: (original: FileHandle[Name]) => FileHandle[Name],
  use: () => Promise<void>,
): Promise<void> {
  const prototype = await fileHandlePrototype();
  const original = prototype[name];
  prototype[name] = patch(original);
  try {
    await use();
  } finally {
    prototype[name] = original;
  }
}

export const errnoError = (code: string, syscall: string) =>
  Object.assign(new Error(code), { code, syscall });
