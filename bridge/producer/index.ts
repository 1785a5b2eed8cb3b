export { createProducer, type ProducerStatus } from "./producer.ts";
