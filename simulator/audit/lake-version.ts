import { SimulatorError } from "../errors.ts";
import { type LakeFiles, readWhole } from "./lake-files.ts";

const lakeFile = "_commits/lake.json";
/** The newest lake format whose tables this audit knows how to read. */
const knownFormat = 1;

/** Throws AUDIT_LAKE_UNSUPPORTED. A lake without the file is judged by its tables alone. */
export async function checkLakeVersion(lake: LakeFiles): Promise<void> {
  const bytes = await readWhole(lake, lakeFile);
  const format = bytes === null ? knownFormat : formatOf(bytes);
  if (Number.isInteger(format) && (format as number) <= knownFormat) return;
  throw new SimulatorError(
    "AUDIT_LAKE_UNSUPPORTED",
    `${lakeFile} says format ${JSON.stringify(format)}, and this audit knows formats up to ${knownFormat}: use the \`tidegate audit\` of the version that wrote the lake`,
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
