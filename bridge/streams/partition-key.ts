/** Key of a partition among all streams of a lake: `<stream id>/<partition>`. */
export function partitionKey(streamId: string, partition: number): string {
  return `${streamId}/${partition}`;
}

/** The parts of a `partitionKey`. */
export function partitionOfKey(key: string): { streamId: string; partition: number } {
  const cut = key.lastIndexOf("/");
  return { streamId: key.slice(0, cut), partition: Number(key.slice(cut + 1)) };
}
