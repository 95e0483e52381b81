/** Changes of keepalived's settings. Its faults: tests/proof/faults and tests/proof/runbook. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { NodeFilesInputs } from "../../../hosts/src/contract";
import { nodeFiles } from "../../../hosts/src/node-files";
import type { RegistryAccess } from "../../../lab/journey/push";
import { accessTo } from "../../../lab/ssh";
import { newUpdate } from "../../support/newUpdate";
import { ask, type TestLab } from "../../support/testLab";
import { holdersOf } from "../../support/vip";
import { until } from "../../support/waiting";

async function holder(lab: TestLab): Promise<string> {
  const [one, ...more] = await holdersOf(lab.instance);
  expect(more).toEqual([]);
  expect(one).toBeDefined();
  return one ?? "";
}

/** The registry answers at the VIP. */
async function serves(lab: TestLab, access: RegistryAccess): Promise<void> {
  const { username: user, password } = access;
  expect((await ask(lab, access, "/v2/", { user, password, timeoutMs: 2000 })).status).toBe(200);
}

/** Runs the code of an update of keepalived's files on all nodes at once. The lab must have no pending changes. */
export function vip(lab: () => TestLab): void {
  describe("a setting of keepalived", () => {
    const folder = "/etc/moorage/keepalived";
    let parts: NodeFilesInputs[];
    let access: RegistryAccess;

    beforeAll(async () => {
      access = await lab().access();
      const { deployment } = JSON.parse(await lab().state()) as {
        deployment: { resources: { urn: string; outputs?: Pick<NodeFilesInputs, "files" | "units"> }[] };
      };
      parts = lab().nodes.map((host) => {
        const known = accessTo(lab().instance, host);
        const part = deployment.resources.find(({ urn }) => urn.endsWith(`::edge-keepalived-${host.name}`));
        if (!known || !part?.outputs) throw new Error(`${host.name} has no keepalived in the state`);
        const connection = { node: host.name, host: "127.0.0.1", port: host.sshPort, ...known };
        const { files, units } = part.outputs;
        return { connection, part: "edge", files, units };
      });
    });
    beforeEach(() => newUpdate());
    afterEach(async () => {
      const serving = async (): Promise<void> => {
        await holder(lab());
        await serves(lab(), access);
      };
      await until("one node has the VIP, and the registry answers", serving, { netSeconds: 300 });
    });

    const changed = (
      part: NodeFilesInputs,
      name: string,
      change: (text: string) => string,
    ): NodeFilesInputs => {
      const path = `${folder}/${name}`;
      const file = part.files[path];
      if (!file || change(file.content) === file.content) throw new Error(`nothing to change in ${path}`);
      return { ...part, files: { ...part.files, [path]: { ...file, content: change(file.content) } } };
    };
    const sums = (): Promise<string[]> =>
      Promise.all(lab().nodes.map(({ name }) => lab().mustRoot(name, `cd ${folder} && sha256sum *`)));

    test("is applied to one node after the other, each after the one before has taken it", async () => {
      const before = await sums();
      const slower = (text: string): string => text.replace(/advert_int .*/, "advert_int 0.4");
      const wanted = parts.map((part) => changed(part, "keepalived.conf", slower));
      const ends = await Promise.all(
        parts.map(async (part, at) => {
          await nodeFiles.update("", part, wanted[at] ?? part);
          return Date.now() / 1000;
        }),
      );
      const begins = await Promise.all(
        lab().nodes.map(({ name }) => lab().mustRoot(name, `stat -c %.3Y ${folder}/keepalived.conf`)),
      );
      const turns = ends
        .map((end, at) => ({ begin: Number(begins[at]), end }))
        .sort((a, b) => a.begin - b.begin);
      for (const [at, { begin }] of turns.entries()) expect(begin).toBeGreaterThan(turns[at - 1]?.end ?? 0);
      await Promise.all(parts.map((part, at) => nodeFiles.update("", wanted[at] ?? part, part)));
      expect(await sums()).toEqual(before);
    });

    test("that keepalived cannot read is rolled back on the first node, and not applied to another", async () => {
      const before = await sums();
      const ends = await Promise.allSettled(
        parts.map((part) =>
          nodeFiles.update(
            "",
            part,
            changed(part, "node.conf", (text) => text.replace(/INTERFACE=.*/, "INTERFACE=eth9")),
          ),
        ),
      );
      const said = ends.map((end) => (end.status === "rejected" ? String(end.reason) : "it works"));
      expect(said.filter((one) => one.includes("went back to what it had before"))).toHaveLength(1);
      expect(said.filter((one) => one.includes("is left as it is"))).toHaveLength(parts.length - 1);
      expect(await sums()).toEqual(before);
    });

    test("leaves nothing to change once it is restored", async () => expect(await lab().plan()).toEqual([]));
  });
}
