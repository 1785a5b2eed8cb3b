import {
  type KindTarget,
  parseS3Url,
  readOrMend,
  type S3Config,
  type S3Target,
  s3ConfigSchema,
  s3Url,
} from "../../../bridge/config.ts";
import type { Settings } from "../../settings/base-schema.ts";
import { withSections } from "../../settings/gateway-config.ts";
import type { ConfigFault } from "../../settings/settings-sources.ts";
import type { LakeKind } from "../lake-kind.ts";

export interface InS3 extends KindTarget {
  readonly kind: "s3";
  readonly s3: S3Target;
}

interface Sections {
  readonly s3: S3Config;
}

export const s3Kind: LakeKind<InS3> = {
  name: "s3",
  label: "S3",
  schemes: ["s3:"],
  urlForm: "s3://BUCKET/PREFIX",
  sections: { s3: s3ConfigSchema },
  readUrl: (url) => readOrMend((): InS3 => ({ kind: "s3", s3: parseS3Url(url) })),
  urlOf: ({ s3 }) => s3Url(s3),
  folderOf: () => null,
  placeOf: ({ s3: { bucket, prefix } }) => ({ folder: null, bucket: `${bucket}/${prefix}` }),
  faults,
  open: async ({ s3 }, config, { filesFolder = config.folders.lakeFiles, stagingFolder: _, ...options }) => {
    const { openS3Store } = await import("../../../bridge/lake/index.ts");
    return await openS3Store(s3, {
      config: withSections<Sections>(config).s3,
      folder: filesFolder,
      ...options,
    });
  },
};

function faults(settings: Settings): ConfigFault[] {
  const { s3 } = settings as Settings & Partial<Sections>;
  if (s3?.kmsKeyId === undefined || s3.encryption === "aws:kms") return [];
  return [
    {
      path: "s3.kmsKeyId",
      value: s3.kmsKeyId,
      expected: "no key, unless s3.encryption is aws:kms",
      mend: 'set s3.encryption = "aws:kms" as well, or remove the key',
    },
  ];
}
