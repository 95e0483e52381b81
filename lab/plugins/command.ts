import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { Properties } from "./properties";
import { changedInputs, StandInError, type ResourceType, type StandIn } from "./standIn";
import { UNKNOWN, type Values } from "./values";

const properties: Properties = {
  create: { kind: "string" },
  stdin: { kind: "string" },
  logging: { kind: "string", oneOf: ["none"] },
};

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

const command: ResourceType = {
  properties,
  plan: (inputs) => ({ ...inputs, stdout: UNKNOWN, stderr: UNKNOWN }),
  create: async (inputs, { name }) => ({
    id: name + randomBytes(4).toString("hex"),
    outputs: { ...inputs, ...(await run(inputs)) },
  }),
  diff: ({ inputs: olds }, news) => {
    const change = changedInputs(properties, olds, news);
    const kindOf = (key: string) => (!(key in olds) ? "add" : key in news ? "update" : "delete");
    return { ...change, detailed: Object.fromEntries(change.diffs.map((key) => [key, kindOf(key)])) };
  },
  // Without a command of its own, an update is the creation once more.
  update: async ({ outputs }, inputs) => ({
    ...inputs,
    ...("create" in inputs ? await run(inputs) : { stdout: outputs.stdout, stderr: outputs.stderr }),
  }),
};

/** A command that fails prints nothing of its input. */
function run({ create, stdin = "" }: Values): Promise<Output> {
  const said = { stdout: "", stderr: "" };
  if (create === undefined) return Promise.resolve(said);
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", String(create)]);
    for (const side of ["stdout", "stderr"] as const) {
      child[side].setEncoding("utf8").on("data", (text: string) => (said[side] += text));
    }
    child.on("error", reject);
    child.on("close", (code, signal) => {
      if (code === 0) return resolve({ stdout: trimmed(said.stdout), stderr: trimmed(said.stderr) });
      const how = signal ? `signal: ${signal}` : `exit status ${code}`;
      reject(new StandInError(`${how}: running ${JSON.stringify(create)}:\n${said.stdout}${said.stderr}`));
    });
    // A command that reads nothing may be gone before it was given its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(String(stdin));
  });
}

/** The published plugin takes one line's end away. */
function trimmed(text: string): string {
  return text.replace(/\n$/, "");
}

/** In place of the plugin `command`: commands on this machine. */
export const commandPlugin: StandIn = {
  name: "command",
  settings: {},
  types: { "command:local:Command": command },
};
