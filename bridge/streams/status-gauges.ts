import { Gauge, type Registry } from "prom-client";

/** Registers a gauge whose value is read from a status at each collection. */
export type StatusGauge<Status> = (name: string, help: string, value: (now: Status) => number) => void;

export function statusGauges<Status>(registry: Registry, status: () => Status): StatusGauge<Status> {
  return (name, help, value) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value(status()));
      },
    });
  };
}
