// No other folder imports the simulator: it is a program of its own (main.ts), which knows the gateway by the wire and the tables only.
export { runCommandLine } from "./command/commands.ts";
