// Devices that publish on `steady/<own name>`, each at a steady pace that does not depend on answers. Writes
// a line for each acknowledged message: times of sending and acknowledgement, in ms since the epoch. Ends
// with its stdin. Arguments: port, devices, messages a second of each.
import { setTimeout as delay } from "node:timers/promises";
import { publishPacket, RawMqtt } from "./raw-mqtt.ts";

const [port = 0, devices = 0, perSecond = 1] = process.argv.slice(2).map(Number);
let isEnding = false;
process.stdin.on("end", () => {
  isEnding = true;
});
process.stdin.resume();

const now = () => performance.timeOrigin + performance.now();

async function publish(index: number): Promise<void> {
  const clientId = `steady${index}`;
  const client = await RawMqtt.connected(port, { clientId, keepalive: 0 });
  const sentAtMs = new Map<number, number>();
  client.socket.on("data", () => {
    const atMs = now();
    for (const packet of client.packets.splice(0)) {
      if (packet.cmd !== "puback" || packet.messageId === undefined) continue;
      process.stdout.write(`${sentAtMs.get(packet.messageId)} ${atMs}\n`);
      sentAtMs.delete(packet.messageId);
    }
  });
  const intervalMs = 1_000 / perSecond;
  let nextMs = performance.now() + (intervalMs * index) / devices;
  for (let count = 1; !isEnding; count++, nextMs += intervalMs) {
    await delay(Math.max(0, nextMs - performance.now()));
    const messageId = ((count - 1) % 65_535) + 1;
    sentAtMs.set(messageId, now());
    const payload = JSON.stringify({ id: `${index}-${count}`, ts: Date.now(), temperature: 20 });
    client.send(publishPacket(`steady/${clientId}`, payload, { messageId }));
    if (client.isClosed) throw new Error(`${clientId} was cut`);
  }
  await client.until(() => sentAtMs.size === 0);
  client.end();
}

await Promise.all(Array.from({ length: devices }, (_, index) => publish(index)));
