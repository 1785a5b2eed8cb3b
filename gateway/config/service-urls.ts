import type { KindDescriptor, KindTarget } from "../../bridge/config.ts";
import { lakeKind, lakeKinds } from "../lakes/lake-kinds.ts";
import { streamKinds } from "../streams/stream-kinds.ts";
import { windowKinds } from "../windows/window-kinds.ts";

/** The target of `stream.url`, `window.url` or `lake.url`; `mend` says what to write instead. */
export type UrlReading =
  | { readonly target: KindTarget }
  | { readonly expected: string; readonly mend: string };

export const streamUrls = formsOf(streamKinds);
export const windowUrls = formsOf(windowKinds);
export const lakeUrls = formsOf(lakeKinds);

/** `a:, b: or c:` */
export function formsOf(kinds: readonly Pick<KindDescriptor, "urlForm">[]): string {
  const forms = kinds.map(({ urlForm }) => urlForm);
  return [forms.slice(0, -1).join(", "), ...forms.slice(-1)].filter((text) => text !== "").join(" or ");
}

export function readStreamUrl(url: string): UrlReading {
  return readUrl(streamKinds, url, streamUrls);
}

export function readWindowUrl(url: string): UrlReading {
  return readUrl(windowKinds, url, windowUrls);
}

export function readLakeUrl(url: string): UrlReading {
  return readUrl(lakeKinds, url, lakeUrls);
}

function readUrl(kinds: readonly KindDescriptor[], url: string, expected: string): UrlReading {
  const kind = ofScheme(kinds, url);
  if (!kind) {
    const elsewhere = ofScheme([...streamKinds, ...windowKinds, ...lakeKinds], url)?.label ?? "it";
    const mend = `${capitalised(elsewhere)} names no backend here: use ${expected}`;
    return { expected, mend };
  }
  const target = kind.readUrl(url);
  return typeof target === "string" ? { expected, mend: target } : { target };
}

function ofScheme<Kind extends KindDescriptor>(kinds: readonly Kind[], url: string): Kind | undefined {
  const scheme = /^[a-z0-9+.-]+:/.exec(url)?.[0];
  return kinds.find(({ schemes }) => scheme !== undefined && schemes.includes(scheme));
}

function capitalised(label: string): string {
  return label === "it" ? label : `${label.charAt(0).toUpperCase()}${label.slice(1)}`;
}

/** The URL that names the lake independently of the working directory. */
export function lakeUrlOf(target: KindTarget): string {
  return lakeKind(target).urlOf(target);
}
