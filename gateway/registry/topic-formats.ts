import { type Decoder, decoders } from "../../bridge/config.ts";
import { listText } from "../input/input-faults.ts";

/** Names of formats, for texts and schemas. */
function namesOf(isMeant: (decoder: Decoder) => boolean): string[] {
  return decoders.filter(isMeant).map(({ name }) => name);
}

export const formats = namesOf(() => true);
/** `envelope, json or raw` */
export const formatText = listText(formats);
/** Formats that find id and event time at paths: `json` */
export const pathFormatText = listText(namesOf(({ usesPaths }) => usesPaths));
/** Formats with exact deduplication: `envelope` */
export const exactFormatText = listText(namesOf(({ whyNotExact }) => whyNotExact === null));
/** `envelope = Tidegate's protobuf, json = …` */
export const formatMeanings = decoders.map(({ name, description }) => `${name} = ${description}`).join(", ");
