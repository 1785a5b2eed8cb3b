import { isatty } from "node:tty";
import pino, { type Logger } from "pino";
import type { GatewayConfig } from "../settings/gateway-config.ts";

const stderr = 2;

/** The log of one process, on stderr: JSON lines for machines, text lines on a terminal. */
export function createProcessLogger(name: string, config: GatewayConfig): Logger {
  const destination = pino.destination({ fd: stderr, sync: true });
  const isText = config.log.format === "text" || (config.log.format === "auto" && isatty(stderr));
  const stream = isText ? { write: (line: string) => destination.write(textLine(line)) } : destination;
  return pino(
    {
      level: config.log.level,
      base: { process: name },
      redact: ["key", "password", "token"],
      serializers: { err: shownError },
    },
    stream,
  );
}

/**
 * Errors of ioredis hold the failed command with its arguments, such as passwords or a whole block of
 * messages.
 */
function shownError(error: Error): object {
  const {
    command: _command,
    previousErrors: _previous,
    lastNodeError: _node,
    ...shown
  } = pino.stdSerializers.err(error) as unknown as Record<string, unknown>;
  return shown;
}

/** Turns a JSON line into `12:00:01.123 WARN broker text {fields}`. */
export function textLine(line: string): string {
  const {
    time,
    level,
    process: name,
    msg,
    event,
    err,
    ...fields
  } = JSON.parse(line) as Record<string, unknown>;
  const clock = new Date(Number(time)).toISOString().slice(11, 23);
  const severity = (pino.levels.labels[Number(level)] ?? "").toUpperCase().padEnd(5);
  const rest = Object.keys(fields).length > 0 ? `  ${JSON.stringify(fields)}` : "";
  return `${clock} ${severity} ${name}  ${msg ?? event}${rest}${stackText(err)}\n`;
}

function stackText(error: unknown): string {
  if (typeof error !== "object" || error === null || !("stack" in error)) return "";
  return `\n    ${String(error.stack).split("\n").join("\n    ")}`;
}
