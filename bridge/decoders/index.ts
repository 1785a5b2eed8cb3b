export { quarantineReasons } from "./quarantine-reason.ts";
