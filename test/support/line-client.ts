import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { ContractClient, Hello } from "../contract/front-end-contract.ts";

/** A client of `LineFrontEnd`. */
export class LineClient implements ContractClient {
  readonly socket: Socket;
  readonly answers: string[] = [];
  isClosed = false;
  #sent = 0;
  #rest = "";

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("utf8").on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      this.answers.push(...lines);
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  static async connect(port: number, hello?: Hello): Promise<LineClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const client = new LineClient(socket);
    if (hello) client.say(["hello", hello.clientId, hello.name, hello.secret].filter(Boolean).join(" "));
    return client;
  }

  get isWelcome(): boolean | null {
    const answer = this.answers.find((line) => line.split(" ")[1] === "hello");
    return answer === undefined ? null : answer === "ok hello";
  }

  get acknowledged(): number[] {
    return this.answers.filter((line) => /^ok \d+$/.test(line)).map((line) => Number(line.slice(3)));
  }

  say(...lines: string[]): void {
    this.socket.write(lines.map((line) => `${line}\n`).join(""));
  }

  publish(topic: string, payload: string): void {
    this.say(`publish ${++this.#sent} ${topic} ${payload}`);
  }

  hangUp(): void {
    this.socket.destroy();
  }
}
