import { decodeBlockHeader } from "../../bridge/block/decode-block.ts";
import { openStreamDatabase } from "../../bridge/streams/embedded/stream-file.ts";
import { blockKey, blockPrefixBytes } from "../../bridge/streams/embedded/stream-records.ts";

const mapBytes = 128 * 1024 * 1024;

/** Numbers of the blocks with messages in a partition of a stream without an appender. */
export async function messageBlocksOf(folder: string, partition: number): Promise<number[]> {
  const database = openStreamDatabase(folder, { readOnly: true, mapBytes });
  const range = { start: blockKey(partition, 0), end: blockKey(partition + 1, 0) };
  const blocks = [...database.getRange(range)].map(({ key, value }) => ({
    number: Number(key.readBigUInt64BE(key.length - 8)),
    header: decodeBlockHeader(value.subarray(blockPrefixBytes)),
  }));
  await database.close();
  return blocks.filter(({ header }) => header.messageCount > 0).map(({ number }) => number);
}

/** Takes one block out of the file of a stream without an appender. */
export async function loseBlock(folder: string, partition: number, number: number): Promise<void> {
  const database = openStreamDatabase(folder, { readOnly: false, mapBytes });
  database.removeSync(blockKey(partition, number));
  await database.close();
}
