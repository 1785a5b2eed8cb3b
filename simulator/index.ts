// No other folder imports the simulator. It is a program of its own (main.ts) and knows the gateway only by
// the wire and the tables.
export { runCommandLine } from "./command/commands.ts";
