import assert from "node:assert/strict";

const bigBlockBytes = 200_000;

/** A block of a given size whose bytes follow from its place. */
export function checkedBlock(partition: number, number: number): Uint8Array {
  return filledBlock(partition, number, 50 + ((number * 7919 + partition * 104_729) % 30_000));
}

export function bigCheckedBlock(partition: number, number: number): Uint8Array {
  return filledBlock(partition, number, bigBlockBytes);
}

function filledBlock(partition: number, number: number, bytes: number): Uint8Array {
  const block = Buffer.alloc(bytes, ((partition * 31 + number) % 255) + 1);
  block.writeUInt32LE(partition, 0);
  block.writeUInt32LE(number, 4);
  return block;
}

export function assertCheckedBlock(block: Uint8Array, partition: number, number: number): void {
  assert.ok(
    Buffer.from(block).equals(checkedBlock(partition, number)),
    `block ${number} of partition ${partition}`,
  );
}
