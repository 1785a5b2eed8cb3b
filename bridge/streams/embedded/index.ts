export { type EmbeddedStream, openEmbeddedStream } from "./embedded-stream.ts";
export { checkStreamAgainstLake } from "./lake-check.ts";
export { createEmbeddedStream, retireStream, startNewStream } from "./stream-folder.ts";
