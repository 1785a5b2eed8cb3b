import { crc32 } from "node:zlib";
import { at, blockHeaderBytes, firstHeaderBytes, firstVersion } from "../../bridge/block/block-format.ts";

/** The block as Tidegate 0.1.0 would have sealed it: without the boot clock. */
export function firstVersionOf(block: Uint8Array): Uint8Array {
  const header = block.subarray(0, firstHeaderBytes);
  const bytes = Buffer.concat([header, block.subarray(blockHeaderBytes)]);
  bytes.writeUInt8(firstVersion, at.version);
  bytes.writeUInt32LE(bytes.length, at.blockBytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}
