import { SimulatorError } from "../errors.ts";
import { type LakeFiles, readWhole } from "./lake-files.ts";

const lakeFile = "_commits/lake.json";
/** Lake formats whose tables this audit knows how to read. 2 is a log that continues in another place. */
const knownFormats: readonly unknown[] = [1, 3, 4, 5];

/** Throws AUDIT_LAKE_UNSUPPORTED. A lake without the file is judged only by its tables. */
export async function checkLakeVersion(lake: LakeFiles): Promise<void> {
  const bytes = await readWhole(lake, lakeFile);
  const format = bytes === null ? 1 : formatOf(bytes);
  if (knownFormats.includes(format)) return;
  throw new SimulatorError(
    "AUDIT_LAKE_UNSUPPORTED",
    `${lakeFile} says format ${JSON.stringify(format)}, and this audit knows the formats ${knownFormats.join(", ")}: use the \`tidegate audit\` of the version that wrote the lake`,
    { retryable: false },
  );
}

function formatOf(bytes: Buffer): unknown {
  try {
    return (JSON.parse(bytes.toString("utf8")) as { format?: unknown } | null)?.format;
  } catch {
    return undefined;
  }
}
