import { existsSync, readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { dirname, join } from "node:path";

/** A place in a file, counted from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Folders of `bundleTests` are in here. */
export const bundlesFolder = ".test-bundles";

const bundledPath = new RegExp(`/\\${bundlesFolder}/[^/]+/(.*)\\.js$`);
const maps = new Map<string, SourceMap | null>();

/** The source of a bundle, relative to the repository; any other path as it is. */
export function sourceOf(file: string): string {
  const bundled = bundledPath.exec(file)?.[1];
  return bundled === undefined ? file : `${bundled}.ts`;
}

/** The place in the source for a place in a bundle; the same place if there is no map. */
export function sourcePlace(place: Place): Place {
  const entry = mapOf(place.file)?.findEntry(place.line - 1, place.column - 1);
  if (!entry || !("originalSource" in entry)) return { ...place, file: sourceOf(place.file) };
  const file = join(dirname(place.file), entry.originalSource);
  return { file, line: entry.originalLine + 1, column: entry.originalColumn + 1 };
}

function mapOf(bundle: string): SourceMap | null {
  const known = maps.get(bundle);
  if (known !== undefined) return known;
  const path = `${bundle}.map`;
  const map = existsSync(path) ? new SourceMap(JSON.parse(readFileSync(path, "utf8"))) : null;
  maps.set(bundle, map);
  return map;
}
