// Writes docs/reference anew: npm run docs
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { referenceFolder, referencePages } from "./pages.ts";

const folder = join(import.meta.dirname, "..", "..", "..", referenceFolder);
mkdirSync(folder, { recursive: true });
for (const [name, text] of await referencePages()) writeFileSync(join(folder, name), text);
