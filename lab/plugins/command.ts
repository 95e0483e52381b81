import { randomBytes } from "node:crypto";
import { run } from "../../toolchain";
import { LabError } from "../exec";
import type { ResourceType, StandIn } from "./standIn";
import type { Values } from "./properties";

const command: ResourceType = {
  properties: {
    create: { kind: "string", optional: true },
    stdin: { kind: "string", optional: true },
    logging: { kind: "string", optional: true, oneOf: ["none"] },
  },
  made: ["stdout", "stderr"],
  create: async (inputs, { name }) => ({
    id: name + randomBytes(4).toString("hex"),
    ...(await said(inputs)),
  }),
  // Without a command of its own, an update is the creation once more.
  update: async ({ outputs }, inputs) => ({ ...inputs, ...(await said(inputs, outputs)) }),
};

/** What a command prints, without one line's end, or had printed; one that fails prints nothing of its input. */
async function said({ create, stdin = "" }: Values, { stdout = "", stderr = "" }: Values = {}) {
  if (create === undefined) return { stdout, stderr };
  const done = await run("/bin/sh", ["-c", String(create)], { env: process.env, input: String(stdin) });
  if (done.code === 0)
    return { stdout: done.stdout.replace(/\n$/, ""), stderr: done.stderr.replace(/\n$/, "") };
  throw new LabError(`exit status ${done.code}: running ${JSON.stringify(create)}:\n${done.output}`);
}

/** In place of the plugin `command`: commands on this machine. */
export const standIn: StandIn = { tellsPaths: true, types: { "command:local:Command": command } };
