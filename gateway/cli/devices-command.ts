import type { Command } from "commander";
import type { DeviceView } from "../registry/devices.ts";
import { apiOf, type CommandEnvironment, runAction } from "./command-context.ts";
import { addDataOptions, type ConfigFlags } from "./config-options.ts";
import { readPasswordFile } from "./password-file.ts";
import { textTable } from "./text-table.ts";

interface DeviceFlags extends ConfigFlags {
  readonly json?: boolean;
  readonly role?: string;
  readonly prefix?: string[];
  readonly passwordFile?: string;
}

export function addDevicesCommand(program: Command, environment: CommandEnvironment): void {
  const devices = program.command("devices").description("add, list and remove identities that may connect");
  addAdd(devices, environment);
  addList(devices, environment);
  addRemove(devices, environment);
}

function addAdd(devices: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(
    devices.command("add <name>").description("add an identity and print its key, once"),
  )
    .option(
      "--role <role>",
      "device (sends only its own messages) or edge (a field gateway for many devices)",
    )
    .option("--prefix <prefix...>", "edge: prefixes of the topic names that it may publish on")
    .option("--password-file <file>", "use the password in this file instead of a new key; - = stdin");
  runAction<DeviceFlags>(command, environment, async ({ output, flags, args }) => {
    const body = {
      name: args[0],
      ...(flags.role === undefined ? {} : { role: flags.role }),
      ...(flags.prefix === undefined ? {} : { topicPrefixes: flags.prefix }),
      ...(flags.passwordFile === undefined
        ? {}
        : { password: readPasswordFile("--password-file", flags.passwordFile) }),
    };
    const answer = await apiOf(flags, environment).send<{ device: DeviceView; key: string | null }>({
      method: "POST",
      path: "/v1/devices",
      body,
      names: {
        name: "the name",
        role: "--role",
        topicPrefixes: "--prefix",
        password: "--password-file",
      },
    });
    output.result(answer, addedText(answer));
    return undefined;
  });
}

function addedText({ device, key }: { device: DeviceView; key: string | null }): string {
  if (key === null) return `Added ${device.name} (${device.role}) with the given password.`;
  return [
    `Added ${device.name} (${device.role}). This is the only time that its key is shown:`,
    "",
    `  ${key}`,
    "",
    `MQTT user name ${device.name}, password = the key.`,
  ].join("\n");
}

function addList(devices: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(devices.command("list").description("list identities"));
  runAction<DeviceFlags>(command, environment, async ({ output, flags }) => {
    const api = apiOf(flags, environment);
    const found: DeviceView[] = [];
    for (let next: string | null = ""; next !== null; ) {
      const path: string = `/v1/devices?after=${encodeURIComponent(next)}`;
      const page: { devices: DeviceView[]; next: string | null } = await api.send({ method: "GET", path });
      found.push(...page.devices);
      next = page.next;
    }
    const rows = found.map((device) => [
      device.name,
      device.role,
      device.topicPrefixes.join(" "),
      device.secret,
      new Date(device.createdAtMs).toISOString(),
    ]);
    output.result({ devices: found }, textTable(["name", "role", "prefixes", "secret", "created"], rows));
    return undefined;
  });
}

function addRemove(devices: Command, environment: CommandEnvironment): void {
  const command = addDataOptions(
    devices.command("remove <name>").description("remove an identity and close its connections"),
  );
  runAction<DeviceFlags>(command, environment, async ({ output, flags, args }) => {
    const path = `/v1/devices/${encodeURIComponent(args[0] ?? "")}`;
    const answer = await apiOf(flags, environment).send<{ removed: string }>({ method: "DELETE", path });
    output.result(answer, `Removed ${answer.removed}.`);
    return undefined;
  });
}
