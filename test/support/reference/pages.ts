import { cliPage } from "./cli-page.ts";
import { errorsPage } from "./errors-page.ts";
import { httpApiPage } from "./http-api-page.ts";
import { metricsPage } from "./metrics-page.ts";
import { settingsPage } from "./settings-page.ts";

/** Relative to the repository. */
export const referenceFolder = "docs/reference";

/** The pages of `docs/reference`, by file name. */
export async function referencePages(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["settings.md", settingsPage()],
    ["errors.md", errorsPage()],
    ["metrics.md", metricsPage()],
    ["cli.md", cliPage()],
    ["http-api.md", await httpApiPage()],
  ]);
}
