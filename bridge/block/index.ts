export { maxMessagePayloadBytes } from "./block-format.ts";
