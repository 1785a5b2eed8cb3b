import type { GatewayStatus } from "../status/gateway-status.ts";

const topicsShownMax = 10;

/** Topics whose rows were flagged because of their event times; the cause is mostly a device's clock. */
export function outsideTimesText({ eventTimesOutside }: NonNullable<GatewayStatus["consumer"]>): string[] {
  if (eventTimesOutside.length === 0) return [];
  const shown = eventTimesOutside.slice(0, topicsShownMax).map(({ topic, past, ahead, unread }) => {
    const parts = Object.entries({ past, ahead, unread }).filter(([, count]) => count > 0);
    return `${topic} ${parts.map(([side, count]) => `${count} ${side}`).join(", ")}`;
  });
  const others = eventTimesOutside.length - shown.length;
  const more = others > 0 ? [`${others} more topics`] : [];
  return [`Filed by ingest time since the start, with event_time_outside: ${[...shown, ...more].join("; ")}`];
}
