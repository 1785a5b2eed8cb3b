"""Publishes messages with Eclipse Paho: publish-paho.py PORT DEVICE COUNT. Prints how many were acknowledged."""

import json
import sys
import time

import paho.mqtt.client as mqtt

port, device, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device, protocol=mqtt.MQTTv311)
client.connect("127.0.0.1", port)
client.loop_start()
sent = []
for number in range(count):
    payload = json.dumps({"id": f"p{number}", "ts": int(time.time() * 1000), "temperature": number / 10})
    sent.append(client.publish(f"fleet/{device}/telemetry", payload, qos=number % 2 + 1))
for message in sent:
    message.wait_for_publish(20)
client.disconnect()
client.loop_stop()
print(sum(message.is_published() for message in sent))
