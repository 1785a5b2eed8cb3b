import { type Lane, landedLanes } from "./lanes.ts";

/** Application ids of the gateway: `tidegate/<lake id>` of the lane `direct`, and `tidegate/<lake id>/<lane>`. */
const appIdPattern = new RegExp(`^tidegate/[^/]+(?:/(${landedLanes.join("|")}))?$`);

/** The lane whose transactions have this application id; undefined = it is not the gateway's. */
export function laneOf(appId: string): Lane | undefined {
  const found = appIdPattern.exec(appId);
  return found ? ((found[1] as Lane | undefined) ?? "direct") : undefined;
}

export function appIdOf(lakeId: string, lane: Lane): string {
  return lane === "direct" ? `tidegate/${lakeId}` : `tidegate/${lakeId}/${lane}`;
}

/** One entry of a table's log that raised transactions of landed lanes. */
export interface Settling {
  /** Of the table. */
  readonly version: number;
  /** By application id: the commits between which it settles; `from` is undefined if the log did not say. */
  readonly lanes: ReadonlyMap<string, { readonly from: number | undefined; readonly to: number }>;
  /** The files that it adds; rows are undefined if the log does not say. */
  readonly files: readonly { readonly path: string; readonly rows: number | undefined }[];
}
