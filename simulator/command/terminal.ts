export const exitCode = { ok: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** The process that runs a command, as far as commands use it. */
export interface Terminal {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: NodeJS.WriteStream;
  /** Aborts when the command is asked to stop. */
  readonly stop: AbortSignal;
  /** The gateway's main file, for commands that start gateways. */
  readonly gateway: string;
}
