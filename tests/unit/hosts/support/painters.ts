/** Hosts with a unit that paints, and parts of node files to change it by. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ManagedFile } from "@moorage/render";
import type { Cluster, NodeFilesInputs, NodeFilesOutputs } from "../../../../hosts/src/contract";
import { nodeFiles } from "../../../../hosts/src/node-files";
import { swarmMember } from "../../../../hosts/src/swarm/member";
import { engines, memberInputs, type Engine } from "./sim-swarm";
import { temporaryFolder } from "./stop";

export const text = (words: string) => `[Service]\nExecStart=/bin/paint ${words}\n`;
export const dropInPath = "etc/systemd/system/docker.service.d/10-proxy.conf";
export const unitPath = "etc/systemd/system/paint.service";

/** A file that the unit reads anew. */
export const read = (content: string): ManagedFile => ({
  content,
  mode: 0o644,
  apply: { action: "reload", unit: "paint.service" },
});

/** A unit that restarts for its text, and a file that takes nothing. */
export function part(engine: Engine, words: string, changes: Partial<NodeFilesInputs> = {}): NodeFilesInputs {
  return {
    connection: engine.connection,
    part: "base",
    files: { "/etc/motd": { content: `${words}\n`, mode: 0o644, apply: { action: "none" } } },
    units: { "paint.service": { content: text(words), enabled: true } },
    ...changes,
  };
}

/** That unit, with two files that it reads anew; nodes agree on one of them. */
export const agreeing = (rules: string, agreed: string) => (engine: Engine) =>
  part(engine, "blue", {
    files: { "/etc/rules": read(rules), "/etc/agreed": { ...read(agreed), agreed: true } },
  });

/** Where all hosts note what their systemctl begins and ends, in the order in which it is. */
let journal: string;

/**
 * A unit whose text, or what it reads, says `broken` does not start. On a host with a file `hold` its start takes as long
 * as that exists. Docker's unit exists without a text of ours.
 */
export async function hosts(...names: string[]): Promise<Engine[]> {
  journal = join(temporaryFolder(), "journal");
  const all = await engines(...names);
  for (const { name, sandbox } of all) {
    const usual = readFileSync(sandbox.at("bin/systemctl"), "utf8");
    sandbox.tool("usual-systemctl", usual);
    sandbox.tool(
      "systemctl",
      `#!/bin/sh
for unit; do :; done
state="$FAKE/units/$unit"
case "$1" in restart|start|reload-or-restart) ;; *) exec usual-systemctl "$@" ;; esac
echo "${name} begins" >> ${journal}
rm -f "$state.fail"
if grep -qs broken "/etc/systemd/system/$unit" "/etc/systemd/system/$unit.d"/* /etc/rules /etc/agreed; then touch "$state.fail"; fi
sleep 0.1
while [ -e "$FAKE/hold" ]; do sleep 0.1; done
usual-systemctl "$@"; code=$?
echo "${name} ends" >> ${journal}
exit $code
`,
    );
    for (const sign of ["exists", "enabled", "active"])
      writeFileSync(sandbox.at(`units/docker.service.${sign}`), "");
  }
  return all;
}

export const happened = () => readFileSync(journal, "utf8").trim().split("\n");

/** Parts as they are made, and what systemctl was told for that forgotten. */
export async function made(all: readonly Engine[], of: (engine: Engine) => NodeFilesInputs) {
  const states = await Promise.all(all.map(async (engine) => (await nodeFiles.create(of(engine))).outs));
  for (const { sandbox } of all) sandbox.told();
  writeFileSync(journal, "");
  return (engine: Engine): NodeFilesOutputs => {
    const state = states[all.indexOf(engine)];
    if (!state) throw new Error(`${engine.name} has no part`);
    return state;
  };
}

/** How each update ends, all of them side by side. */
export function ended(
  all: readonly Engine[],
  state: (engine: Engine) => NodeFilesOutputs,
  inputs: (engine: Engine) => NodeFilesInputs,
): Promise<PromiseSettledResult<NodeFilesOutputs>[]> {
  return Promise.allSettled(
    all.map((engine) => nodeFiles.update(`${engine.name}/base`, state(engine), inputs(engine))),
  );
}

/** Why each update has failed; nothing where it has not. */
export async function updated(...args: Parameters<typeof ended>): Promise<Record<string, string>> {
  const ends = await ended(...args);
  return Object.fromEntries(
    args[0].map(({ name }, at) => {
      const end = ends[at];
      return [name, end?.status === "rejected" ? String((end.reason as Error).message) : ""];
    }),
  );
}

/** Two managers in a Swarm, whose Docker has a drop-in besides. */
export async function swarm() {
  const all = await hosts("a", "b");
  const cluster: Cluster = { managers: all.map(({ connection }) => connection) };
  const withDropIn = (engine: Engine, dropIns: Record<string, string>, words = "blue") =>
    part(engine, words, {
      cluster,
      units: {
        "paint.service": { content: text(words), enabled: true },
        "docker.service": { dropIns, enabled: true },
      },
    });
  const state = await made(all, (engine) => withDropIn(engine, { "10-proxy.conf": "[Service]\n" }));
  for (const engine of all) await swarmMember.create(memberInputs(engine, all));
  const members = all[0]?.cluster;
  if (!members) throw new Error("no Swarm was made");
  members.everywhere = ["front"];
  return { all: all as [Engine, Engine], members, withDropIn, state };
}
