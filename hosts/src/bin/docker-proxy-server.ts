/** The proxy behind `docker-proxy`: `node docker-proxy-server.js --stack STACK --socket PATH`. */
import { parseArgs } from "node:util";
import { runDockerProxy } from "../proxy";

const { values } = parseArgs({ options: { stack: { type: "string" }, socket: { type: "string" } } });
const { stack = "", socket = "" } = values;

void runDockerProxy({ stack, socket }).then((code) => process.exit(code));
