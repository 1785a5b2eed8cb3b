import { BridgeError } from "../errors.ts";

/** Where a local store keeps unfinished files; no object may have a path below it. */
export const STAGING = "_staging";

const pathBytesMax = 900;

/** Throws STORE_PATH_INVALID unless `path` is relative, `/`-separated, without empty, `.` or `..` parts and outside the staging folder. */
export function checkObjectPath(path: string): void {
  const parts = path.split("/");
  const isValid =
    path.length <= pathBytesMax &&
    parts[0] !== STAGING &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    !/[\\\u0000-\u001f]/.test(path) &&
    parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (!isValid)
    throw new BridgeError(
      "STORE_PATH_INVALID",
      `${JSON.stringify(path)} is no path of an object in the lake`,
      {
        retryable: false,
      },
    );
}
