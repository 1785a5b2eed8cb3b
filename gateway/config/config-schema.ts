import { type TObject, type TProperties, type TSchema, Type } from "@sinclair/typebox";
import type { KindDescriptor } from "../../bridge/config.ts";
import { lakeKinds } from "../lakes/lake-kinds.ts";
import { baseSchema } from "../settings/base-schema.ts";
import { defaultStreamUrl, streamKinds } from "../streams/stream-kinds.ts";
import { windowKinds } from "../windows/window-kinds.ts";
import { lakeUrls, streamUrls, windowUrls } from "./service-urls.ts";

/** All settings of a gateway: its own, those of the other folders, and those of the kinds. */
export const configSchema: TObject = Type.Object(allSections());

function allSections(): TProperties {
  const { tables, mqtt, stream, window, lake, ...others } = baseSchema.properties;
  const own = Object.keys(baseSchema.properties);
  const sections: Record<string, TSchema> = {
    ...others,
    stream: withUrls(stream, { expected: streamUrls, default: defaultStreamUrl }),
    window: withUrls(window, { expected: windowUrls }),
    lake: withUrls(lake, { expected: lakeUrls }),
    ...sectionsOf(streamKinds),
    ...sectionsOf(windowKinds),
    tables,
    ...sectionsOf(lakeKinds),
    mqtt,
  };
  // The order in which the settings are shown.
  const names = [...own.slice(0, own.indexOf("tables")), ...Object.keys(sections)];
  return Object.fromEntries(names.map((name) => [name, sections[name] as TSchema]));
}

/** Only the kinds know the forms of URLs. */
function withUrls(section: TObject, options: { expected: string; default?: string }): TObject {
  const url = { ...section.properties["url"], ...options } as TSchema;
  return Type.Object({ ...section.properties, url });
}

function sectionsOf(kinds: readonly KindDescriptor[]): Record<string, TObject> {
  return Object.assign({}, ...kinds.map(({ sections }) => sections));
}
