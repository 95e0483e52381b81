/** OpenSSH's ProxyCommand: `node docker-proxy.js --stack organization/project/stack`. */
import { parseArgs } from "node:util";
import { runDockerProxy } from "../proxy";

const { values } = parseArgs({ options: { stack: { type: "string" } } });
if (values.stack === undefined) {
  process.stderr.write("moorage: --stack is missing\n");
  process.exit(2);
}
void runDockerProxy({ stack: values.stack }).then((code) => process.exit(code));
