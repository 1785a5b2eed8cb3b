import { BridgeError } from "../../errors.ts";
import { stagedFolder } from "./lake-folders.ts";

const pathBytesMax = 900;

/**
 * Throws STORE_PATH_INVALID unless `path` is relative, `/`-separated, has no empty, `.` or `..` parts, and is
 * outside the staging folder.
 */
export function checkObjectPath(path: string): void {
  const parts = path.split("/");
  const isValid =
    path.length <= pathBytesMax &&
    parts[0] !== stagedFolder &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    !/[\\\u0000-\u001f]/.test(path) &&
    parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (!isValid)
    throw new BridgeError(
      "STORE_PATH_INVALID",
      `${JSON.stringify(path)} is not a valid path of an object in the lake`,
      {
        retryable: false,
      },
    );
}
