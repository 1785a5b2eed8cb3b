import type { Command } from "commander";

/** For each command, by its name without `tidegate`: the examples in `--help` and docs/reference/cli.md. */
export const commandExamples: Readonly<Record<string, readonly string[]>> = {
  up: [
    "tidegate up",
    "tidegate up --stream redis://127.0.0.1:6379/0 --window redis://127.0.0.1:6380/0 --lake file:./lake --data ./data-a",
    "tidegate up --stream kinesis://eu-central-1/telemetry --create --lake 's3://my-bucket/lake?region=eu-central-1'",
  ],
  status: ["tidegate status", "tidegate status --data ./data-a --json"],
  query: [
    'tidegate query "SELECT device_id, event_time, temperature FROM telemetry WHERE event_date = current_date"',
    'tidegate query "SELECT count(*) FROM telemetry" --format csv',
  ],
  "topics create": [
    "tidegate topics create engines --filter 'plant/{device}/engine' --format json --id-path id --time-path ts",
    "tidegate topics create pumps --filter 'pumps/{device}' --format envelope --dedupe exact",
  ],
  "topics update": ["tidegate topics update engines --schema engine.schema.json"],
  "topics list": ["tidegate topics list --deleted"],
  "topics show": ["tidegate topics show engines"],
  "topics delete": ["tidegate topics delete engines"],
  "devices add": [
    "tidegate devices add press-7",
    "tidegate devices add plant-1 --role edge --prefix plant/1/ --password-file key.txt",
  ],
  "devices list": ["tidegate devices list"],
  "devices remove": ["tidegate devices remove press-7"],
  "quarantine list": [
    "tidegate quarantine list --topic engines --limit 10",
    "tidegate quarantine list --reason schema-violated --device press-7",
  ],
  "quarantine show": ["tidegate quarantine show 4f1c9a0d2b7e4c55a1b2c3d4e5f60718.0.42.7"],
  "stream new": [
    "tidegate stream new --data ./data",
    "tidegate stream new --stream redis://127.0.0.1:6379/0",
  ],
  "stream accept-gap": ["tidegate stream accept-gap 3"],
  migrate: [
    "tidegate migrate --stream redis://127.0.0.1:6379/0",
    "tidegate migrate --from redis://127.0.0.1:6379/0 --stream kinesis://eu-central-1/fleet --window redis://127.0.0.1:6379/0",
    "tidegate migrate --lake-to s3://my-bucket/telemetry",
  ],
  "config check": ["tidegate config check --config tidegate.toml"],
  "config print": ["tidegate config print --config tidegate.toml"],
};

/** Appends the examples to each command's help. */
export function addExamples(program: Command): void {
  for (const [name, examples] of Object.entries(commandExamples)) {
    const words = name.split(" ");
    const command = words.reduce<Command | undefined>(
      (parent, word) => parent?.commands.find((child) => child.name() === word),
      program,
    );
    command?.addHelpText("after", `\nExamples:\n${examples.map((example) => `  ${example}`).join("\n")}`);
  }
}
