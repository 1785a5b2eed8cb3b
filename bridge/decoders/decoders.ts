import type { Decoder } from "./decoder.ts";
import { envelopeDecoder } from "./envelope/envelope-decoder.ts";
import { jsonDecoder } from "./json/json-decoder.ts";
import { rawDecoder } from "./raw/raw-decoder.ts";

/** All decoders, in the order in which texts name them. */
// biome-ignore format: a line for each decoder
export const decoders: readonly Decoder[] = [
  envelopeDecoder,
  jsonDecoder,
  rawDecoder,
];

/** The decoder of a topic's format. */
export function decoderOf({ format }: { readonly format: string }): Decoder {
  const decoder = decoders.find(({ name }) => name === format);
  if (!decoder) throw new TypeError(`unknown format ${format}`);
  return decoder;
}
