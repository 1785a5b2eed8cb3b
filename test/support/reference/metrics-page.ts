import { code, page, sentence, table } from "./markdown.ts";
import { type MetricDefinition, metricGroups } from "./metric-definitions.ts";

const introduction = `\`GET /metrics\` answers in the text format of Prometheus, with the token of the HTTP API. One answer holds the metrics of
all processes of the gateway: each value has the label \`process\` (\`supervisor\`, \`broker\`, \`consumer\` or \`upkeep\`) beside those below.
The label \`code\` is a code, \`reason\` of refused and quarantined messages a reason of [errors](errors.md). Counters begin at 0 when their process starts. What each metric tells in operation: [monitoring](../operating/monitoring.md).`;

export function metricsPage(): string {
  const parts = metricGroups().map(
    ({ title, where, metrics }) =>
      `## ${title}\n\nProcess: ${where}.\n\n${table(
        ["metric", "type", "labels", "unit", "meaning"],
        metrics.map((metric) => [
          code(metric.name),
          metric.type,
          metric.labels.map(code).join(", "),
          unitOf(metric),
          sentence(metric.help),
        ]),
      )}`,
  );
  return page("Metrics", [introduction, ...parts]);
}

const units = { ms: "ms", seconds: "s", bytes: "bytes" } as const;

/** Names end with their unit (before `_total`); without a unit, the metric is a count or a state. */
export function unitOf({ name, help }: Pick<MetricDefinition, "name" | "help">): string {
  const word =
    name
      .replace(/_total$/, "")
      .split("_")
      .at(-1) ?? "";
  if (word in units) return units[word as keyof typeof units];
  if (/\b0 \w+, 1 \w+, 2 /.test(help)) return "step";
  return /^1 while/.test(help) ? "0 or 1" : "count";
}
