import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { NodeFilesInputs } from "../../hosts/src/contract";
import { nodeFiles } from "../../hosts/src/node-files";
import { faults, type Place } from "../../lab/faults";
import type { RegistryAccess } from "../../lab/journey/push";
import { accessTo } from "../../lab/ssh";
import { secondsOfTwo } from "../chaos/measure";
import { holdersOf, VipWatch } from "../chaos/vip";
import { newUpdate } from "../support/newUpdate";
import { ask, eventually, type TestLab } from "../support/testLab";

const place = (lab: TestLab, node: string): Place => ({ instance: lab.instance, host: lab.host(node) });

async function holder(lab: TestLab): Promise<string> {
  const [one, ...more] = await holdersOf(lab.instance);
  expect(more).toEqual([]);
  expect(one).toBeDefined();
  return one ?? "";
}

/** The registry answers at the address of all. */
async function serves(lab: TestLab, access: RegistryAccess): Promise<void> {
  const { username: user, password } = access;
  expect((await ask(lab, access, "/v2/", { user, password, timeoutMs: 2000 })).status).toBe(200);
}

/** Waits until another node alone has the address, and the registry answers there. */
async function movesFrom(
  lab: TestLab,
  access: RegistryAccess,
  former: string,
  seconds: number,
): Promise<void> {
  const took = await eventually(60, async () => {
    expect(await holder(lab)).not.toBe(former);
    await serves(lab, access);
  });
  expect(took).toBeLessThan(seconds);
}

function leavesNodes(lab: () => TestLab): void {
  describe("the address leaves a node", () => {
    let undo: () => Promise<unknown> = () => Promise.resolve();
    let watch: VipWatch;
    let access: RegistryAccess;
    beforeAll(async () => {
      access = await lab().access();
    });
    beforeEach(async () => {
      watch = await VipWatch.begin(lab().instance);
      return () => watch.stop();
    });
    afterEach(async () => {
      await undo();
      undo = () => Promise.resolve();
      // Each node's front has to be able to take it over again.
      await eventually(60, async () => {
        for (const { name } of lab().nodes) {
          const listed = await lab().mustRoot(name, "docker ps --format '{{.Names}} {{.Status}}'");
          expect(listed, name).toMatch(/^nginx\.\S+ Up .*\(healthy\)/m);
          expect(listed, name).toMatch(/^moorage-keepalived /m);
          expect(listed, name).toMatch(/^registry-/m);
        }
        await serves(lab(), access);
      });
      // Also while the former holder comes back to itself.
      await eventually(20, async () => expect(watch.samples.length).toBeGreaterThan(5));
      expect(secondsOfTwo(watch.samples, { from: 0, to: Date.now() })).toBeLessThanOrEqual(2);
    });

    test("whose nginx is frozen", async () => {
      const node = await holder(lab());
      undo = () => faults.freeze.end(place(lab(), node));
      await faults.freeze.begin(place(lab(), node), "nginx");
      await movesFrom(lab(), access, node, 20);
    });

    test.each(["nginx", "keepalived"])(
      "whose %s is killed, though it is started again at once",
      async (program) => {
        const node = await holder(lab());
        await faults.kill.begin(place(lab(), node), program);
        await movesFrom(lab(), access, node, 20);
      },
    );

    test("whose keepalived is frozen, which the guard beside it sees", async () => {
      const node = await holder(lab());
      undo = () => faults.freeze.end(place(lab(), node));
      await faults.freeze.begin(place(lab(), node), "keepalived");
      await movesFrom(lab(), access, node, 30);
    });
  });
}

/** What an update of keepalived's part does on each node, without one: the same code, side by side, over SSH. */
function settings(lab: () => TestLab): void {
  describe("a setting of keepalived", () => {
    const folder = "/etc/moorage/keepalived";
    let parts: NodeFilesInputs[];
    let watch: VipWatch;
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
    beforeEach(async () => {
      newUpdate();
      watch = await VipWatch.begin(lab().instance);
      return () => watch.stop();
    });
    afterEach(async () => {
      await eventually(60, async () => {
        await holder(lab());
        await serves(lab(), access);
      });
      expect(secondsOfTwo(watch.samples, { from: 0, to: Date.now() })).toBeLessThanOrEqual(2);
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

    test("comes to one node after the other, each when the one before it works", async () => {
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
      for (const [at, { begin, end }] of turns.entries()) {
        // It is looked at for three seconds.
        expect(end - begin).toBeGreaterThan(2);
        expect(begin).toBeGreaterThan(turns[at - 1]?.end ?? 0);
      }
      await Promise.all(parts.map((part, at) => nodeFiles.update("", wanted[at] ?? part, part)));
      expect(await sums()).toEqual(before);
    });

    test("that does not work goes back on the first node, and comes to no other", async () => {
      const before = await sums();
      const ends = await Promise.allSettled(
        parts.map((part) =>
          nodeFiles.update(
            "",
            part,
            changed(part, "check-front", () => "#!/bin/sh\nexit 1\n"),
          ),
        ),
      );
      const said = ends.map((end) => (end.status === "rejected" ? String(end.reason) : "it works"));
      expect(
        said.filter((one) => /went back to what it had before: [^]*though the front here works/.test(one)),
      ).toHaveLength(1);
      expect(said.filter((one) => one.includes("is left as it is"))).toHaveLength(parts.length - 1);
      expect(await sums()).toEqual(before);
    });
  });
}

/** Who has the VIP, on whatever lab it is, once nothing is left to update there. */
export function vip(lab: () => TestLab): void {
  leavesNodes(lab);
  settings(lab);
  test("nothing is left to change once the address has moved, and keepalived's settings are back", async () =>
    expect(await lab().plan()).toEqual([]));
}
