import type { Document } from "./document.ts";
import { EnvelopeDocument } from "./envelope-document.ts";
import { JsonDocument } from "./json-document.ts";
import { MessageNames } from "./message-names.ts";
import type { PayloadFormat, Scenario } from "./scenario.ts";
import { chance, hash32 } from "./seeded-hash.ts";
import { TypedDocument } from "./typed-document.ts";

export type ShapeKind = "main" | "typed" | "envelope" | "raw" | "big";

/** The common properties of some messages of a run: a topic, a format, a document of one length. */
export interface MessageShape {
  readonly kind: ShapeKind;
  readonly format: PayloadFormat | "raw";
  /** Topic filter with named levels. */
  readonly filter: string;
  readonly names: MessageNames;
  readonly document: Document;
}

/** Of the big messages' documents. A topic accepts 131,072 bytes unless its admin sets another limit. */
const bigBytes = [70_000, 100_000, 131_000];

const stream = { shape: 211, size: 212 } as const;

/**
 * The topic for another kind of message. Its last level is `level`; if the last level names the device,
 * `level` is appended.
 */
export function siblingFilter(filter: string, level: string): string {
  const levels = filter.split("/");
  const kept = levels.at(-1) === "{device}" ? levels : levels.slice(0, -1);
  return [...kept, level].join("/");
}

/** The shapes of a run, and the shape of each message: a function of the seed and the message's index. */
export class MessageShapes {
  /** The shape that `--topic` and `--format` define. */
  readonly main: MessageShape;
  readonly all: readonly MessageShape[];
  readonly #seed: number;
  readonly #siblings: readonly { readonly share: number; readonly shape: MessageShape }[];
  readonly #big: readonly MessageShape[];

  constructor(scenario: Scenario) {
    const { seed, mix = {}, filter, format } = scenario;
    this.#seed = seed;
    this.main = shapeOf(scenario, "main", { filter, format });
    this.#siblings = (["typed", "envelope", "raw"] as const).flatMap((kind) => {
      const share = mix[kind];
      if (share === undefined) return [];
      const place = {
        filter: siblingFilter(filter, kind),
        format: kind === "typed" ? ("json" as const) : kind,
      };
      return [{ share, shape: shapeOf(scenario, kind, place) }];
    });
    this.#big = mix.big === undefined ? [] : bigBytes.map((bytes) => bigShape(scenario, this.main, bytes));
    this.all = [this.main, ...this.#siblings.map(({ shape }) => shape), ...this.#big];
  }

  /** The topics that a run needs. */
  get topics(): readonly MessageShape[] {
    return this.all.filter(({ kind }) => kind !== "big");
  }

  /** Of a message that is not big. */
  of(index: number): MessageShape {
    if (this.#siblings.length === 0) return this.main;
    let draw = chance(this.#seed, stream.shape, index);
    for (const { share, shape } of this.#siblings) {
      draw -= share;
      if (draw < 0) return shape;
    }
    return this.main;
  }

  bigOf(index: number): MessageShape {
    return this.#big[hash32(this.#seed, stream.size, index) % this.#big.length] as MessageShape;
  }
}

function shapeOf(
  scenario: Scenario,
  kind: ShapeKind,
  { filter, format }: { filter: string; format: MessageShape["format"] },
): MessageShape {
  const names = new MessageNames({ ...scenario, filter });
  return { kind, filter, format, names, document: documentOf(kind, format, { names, scenario }) };
}

function documentOf(
  kind: ShapeKind,
  format: MessageShape["format"],
  { names, scenario }: { names: MessageNames; scenario: Scenario },
): Document {
  const { seed, payloadBytes } = scenario;
  if (kind === "typed") return new TypedDocument(names, seed);
  if (format === "envelope") return new EnvelopeDocument(names, seed, payloadBytes);
  return new JsonDocument(names, seed, payloadBytes);
}

function bigShape({ seed }: Scenario, { names, filter, format }: MessageShape, bytes: number): MessageShape {
  const document =
    format === "envelope" ? new EnvelopeDocument(names, seed, bytes) : new JsonDocument(names, seed, bytes);
  return { kind: "big", format, filter, names, document };
}
