export { freePort } from "../../gateway/prove/free-port.ts";
