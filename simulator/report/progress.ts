import cliProgress from "cli-progress";

/** The progress of a job. */
export interface ProgressState {
  readonly done: number;
  readonly total: number;
  /** Facts to show next to it. */
  readonly text: string;
}

export interface Progress {
  show(state: ProgressState): void;
  stop(): void;
}

const lineEveryMs = 5000;

/**
 * A bar on a terminal, else a line every 5 s. Writes to standard error, so that standard output holds only
 * results.
 */
export function createProgress(stream: NodeJS.WriteStream, now: () => number): Progress {
  return stream.isTTY ? barProgress(stream) : lineProgress(stream, now);
}

function barProgress(stream: NodeJS.WriteStream): Progress {
  const bar = new cliProgress.SingleBar(
    { stream, format: "{bar} {percentage}% {text}", hideCursor: true, clearOnComplete: true, fps: 5 },
    cliProgress.Presets.shades_classic,
  );
  let isStarted = false;
  return {
    show({ done, total, text }) {
      if (!isStarted) bar.start(total, done, { text });
      else bar.update(done, { text });
      bar.setTotal(total);
      isStarted = true;
    },
    stop() {
      if (isStarted) bar.stop();
    },
  };
}

function lineProgress(stream: NodeJS.WriteStream, now: () => number): Progress {
  let nextAtMs = now() + lineEveryMs;
  return {
    show({ done, total, text }) {
      if (now() < nextAtMs) return;
      nextAtMs = now() + lineEveryMs;
      stream.write(`${done}/${total} ${text}\n`);
    },
    stop() {},
  };
}
