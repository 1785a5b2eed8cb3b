import type { Command } from "commander";
import type { QuarantineRow } from "../api/api-services.ts";
import { apiOf, type CommandEnvironment, runAction } from "./command-context.ts";
import { addDataOptions, type ConfigFlags } from "./config-options.ts";
import { textTable } from "./text-table.ts";

interface QuarantineFlags extends ConfigFlags {
  readonly json?: boolean;
  readonly limit?: string;
  readonly topic?: string;
  readonly mqttTopic?: string;
  readonly device?: string;
  readonly reason?: string;
}

export function addQuarantineCommand(program: Command, environment: CommandEnvironment): void {
  const quarantine = program
    .command("quarantine")
    .description("messages that could not be filed in their topic's table");
  const list = addDataOptions(
    quarantine.command("list").description("list quarantined messages, newest first"),
  )
    .option("--limit <rows>", "at most this number (default: 50)")
    .option("--topic <name>", "only messages of the topic with this name")
    .option("--mqtt-topic <name>", "only messages that were published on this MQTT topic name")
    .option("--device <id>", "of this device")
    .option("--reason <reason>", "with this reason");
  runAction<QuarantineFlags>(list, environment, async ({ output, flags }) => {
    const query = new URLSearchParams();
    for (const key of ["limit", "topic", "mqttTopic", "device", "reason"] as const) {
      const value = flags[key];
      if (value !== undefined) query.set(key, value);
    }
    const path = `/v1/quarantine?${query}`;
    const answer = await apiOf(flags, environment).send<{ rows: QuarantineRow[] }>({
      method: "GET",
      path,
      names: {
        "?limit": "--limit",
        "?topic": "--topic",
        "?mqttTopic": "--mqtt-topic",
        "?device": "--device",
        "?reason": "--reason",
      },
    });
    const columns = ["ingest_time", "device_id", "topic", "reason", "detail", "id"] as const;
    const rows = answer.rows.map((row) => columns.map((column) => row[column]));
    output.result(answer, answer.rows.length === 0 ? "Nothing is quarantined." : textTable(columns, rows));
    return undefined;
  });
  const show = addDataOptions(
    quarantine.command("show <id>").description("show one message with its payload"),
  );
  runAction<QuarantineFlags>(show, environment, async ({ output, flags, args }) => {
    const path = `/v1/quarantine/${encodeURIComponent(args[0] ?? "")}`;
    const answer = await apiOf(flags, environment).send<{ row: QuarantineRow }>({
      method: "GET",
      path,
      names: { "{id}": "the id" },
    });
    output.result(answer, JSON.stringify(answer.row, null, 2));
    return undefined;
  });
}
