export { freePort } from "../../simulator/prove/free-port.ts";
