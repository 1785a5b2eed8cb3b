import { BridgeError } from "../../bridge/errors.ts";

/** Adds to a refused login what to correct. */
export async function orMend<Result>(
  section: "stream" | "window",
  open: () => Promise<Result>,
): Promise<Result> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof BridgeError && error.code === "REDIS_DENIED")) throw error;
    const variable = `TIDEGATE_${section.toUpperCase()}_PASSWORD`;
    throw new BridgeError(
      error.code,
      `${error.message.replace(/\.$/, "")}. Correct the user name in ${section}.url and the password there, in ${section}.passwordFile or in the variable ${variable}`,
      { retryable: false, cause: error },
    );
  }
}
