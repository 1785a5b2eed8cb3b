import { quarantines } from "../../../bridge/decoders/quarantine-reason.ts";
import { haltCodes } from "../../../bridge/tail/partition-halt.ts";
import { refusals } from "../../../broker/ingest/refusal.ts";
import { mqttAnswers, mqttRefusals } from "../../../broker/mqtt/mqtt-refusals.ts";
import { usageCodes } from "../../../gateway/cli/command-context.ts";
import { usageCodes as simulatorUsageCodes } from "../../../simulator/command/commands.ts";
import { errorGroups } from "./error-catalogue.ts";
import { code, page, table } from "./markdown.ts";

const introduction = `Every error has a code, which never changes its meaning. Decide on the code, never on the message.
The code stands in logs, in \`tidegate status\`, in answers of the HTTP API and in errors of the SDK.

**Try again** says whether the same call may succeed later although nobody changed anything.
If it says "depends", \`retryable\` of the error says so. The HTTP API answers 503 to errors that may pass by themselves.`;

export function errorsPage(): string {
  return page("Errors", [
    introduction,
    `Commands end with exit code 2 for ${[...usageCodes, ...simulatorUsageCodes].map(code).join(", ")}, with 1 for all others.`,
    `A partition that is not read has one of ${haltCodes.map(code).join(", ")} in \`tidegate status\`.`,
    ...errorGroups.map(
      ({ title, entries }) =>
        `## ${title}\n\n${table(
          ["code", "meaning", "try again", "what to do"],
          Object.entries(entries).map(([name, { meaning, retry, remedy }]) => [
            code(name),
            meaning,
            retry,
            remedy,
          ]),
        )}`,
    ),
    refusalPart(),
    quarantinePart(),
  ]);
}

function refusalPart(): string {
  const rows = Object.entries({ ...refusals, ...mqttRefusals })
    .filter(([name]) => name in mqttAnswers)
    .map(([name, { meaning, remedy }]) => [code(name), meaning, mqttAnswers[name] ?? "", remedy]);
  return `## Refusals of the broker

The broker refuses a packet or a connection without looking into payloads. MQTT 3.1.1 has no answer that refuses a PUBLISH,
so the broker closes the connection. What is durable by then is acknowledged first. A will that is refused is dropped. The log names client and reason (\`broker.refused\`), and
\`tidegate_broker_refused_total{reason}\` counts them.

${table(["reason", "meaning", "what the client sees", "what to do"], rows)}`;
}

function quarantinePart(): string {
  const rows = Object.entries(quarantines).map(([name, { meaning, remedy }]) => [
    code(name),
    meaning,
    remedy,
  ]);
  return `## Reasons of the quarantine

A message that was acknowledged and can't be filed in its topic's table stands in \`_quarantine\` with its payload and one of
these reasons. \`tidegate quarantine list\` shows them, \`tidegate_consumer_quarantined_total{reason}\` counts them.

${table(["reason", "meaning", "what to do"], rows)}`;
}
