// Writes docs/reference again: npm run docs
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { referenceFolder, referencePages } from "./pages.ts";
import { root } from "./source-files.ts";

const folder = join(root, referenceFolder);
mkdirSync(folder, { recursive: true });
for (const [name, text] of await referencePages()) writeFileSync(join(folder, name), text);
