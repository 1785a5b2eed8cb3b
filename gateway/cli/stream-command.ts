import { existsSync } from "node:fs";
import type { Command } from "commander";
import { shownUrl } from "../../devices/protocol/shown-url.ts";
import { DataFolderLock } from "../data-folder/data-folder-lock.ts";
import { killLeftChildren } from "../data-folder/left-children.ts";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { NewStream } from "../streams/stream-backend.ts";
import { streamBackend } from "../streams/stream-kinds.ts";
import { apiOf, type CommandEnvironment, runAction } from "./command-context.ts";
import { addBackendOptions, addDataOptions, type ConfigFlags, loadCommandConfig } from "./config-options.ts";
import { givenUpText } from "./given-up-text.ts";

type Flags = ConfigFlags & { readonly json?: boolean; readonly force?: boolean };

export function addStreamCommand(program: Command, environment: CommandEnvironment): void {
  const stream = program.command("stream").description("recover after data loss in the stream");
  addNew(stream, environment);
  addAcceptGap(stream, environment);
}

function addNew(stream: Command, environment: CommandEnvironment): void {
  const command = addBackendOptions(
    addDataOptions(
      stream
        .command("new")
        .description(
          "replace the stream by an empty one, and keep the old one aside; stop all its gateways first",
        ),
    ),
  ).option("--force", "replace the stream even if it fits the lake; its unfiled messages are discarded");
  runAction<Flags>(command, environment, async ({ output, flags }) => {
    const { config } = loadCommandConfig(flags, environment.variables);
    const result = await startNew(config, flags.force === true);
    output.result(result, newStreamText(result));
    return undefined;
  });
}

function newStreamText({ streamId, movedTo, replaces, unread }: NewStream): string {
  const others = replaces && !movedTo ? ["Restart gateways that still run on the old stream."] : [];
  return [
    `The stream ${streamId} is new and empty.`,
    `Given up with ${replaces ?? "the one before"}: ${givenUpText(unread)}.`,
    ...(movedTo ? [`The old stream is in ${movedTo}.`] : []),
    ...others,
    "Start the gateway with `tidegate up`.",
  ].join(" ");
}

async function startNew(config: GatewayConfig, force: boolean): Promise<NewStream> {
  const { data } = config.folders;
  if (!existsSync(data))
    throw new GatewayError("DATA_FOLDER_UNUSABLE", `There is no data folder ${data}: name it with --data.`, {
      retryable: false,
    });
  const lock = await DataFolderLock.acquire(data, { pid: process.pid, startedAt: new Date().toISOString() });
  try {
    await killLeftChildren(data);
    const backend = await streamBackend(config);
    if (!force && (await backend.fitsLake(config)))
      throw new GatewayError(
        "STREAM_IN_ORDER",
        `The stream ${shownUrl(config.stream.url)} fits the lake: no message has to be given up. With --force it is replaced all the same, and its unfiled messages are given up.`,
        { retryable: false },
      );
    return await backend.startNew(config);
  } finally {
    await lock.release();
  }
}

function addAcceptGap(stream: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(
    stream
      .command("accept-gap <partition>")
      .description("resume a stopped partition after lost blocks; its books keep the loss as unaccounted"),
  );
  runAction<Flags>(command, environment, async ({ output, flags, args }) => {
    const partition = args[0] ?? "";
    if (!/^\d{1,5}$/.test(partition))
      throw new GatewayError(
        "USAGE_INVALID",
        `the partition ${partition}: give its number, from 0 to 65535; \`tidegate status\` lists them.`,
        {
          retryable: false,
        },
      );
    const answer = await apiOf(flags, environment).send<{ unaccounted: number }>({
      method: "POST",
      path: "/v1/stream/accept-gap",
      body: { partition: Number(partition) },
      names: { partition: "the partition" },
    });
    output.result(
      answer,
      `Partition ${partition} resumes; ${answer.unaccounted} acknowledged messages are given up.`,
    );
    return undefined;
  });
}
