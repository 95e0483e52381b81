import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Document } from "yaml";
import { changedHostKey, dockerStopped, type Fault, fullDisk, hanging, wrongKey } from "../../support/faults";
import { errorsOf } from "../../support/output";
import { expectUnchanged } from "../../support/service";
import { TestLab } from "../../support/testLab";
import { timed } from "../../support/waiting";

const node = "coreos4";

let lab: TestLab;
let archives: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  archives = fs.mkdtempSync(path.join(lab.instance.dir, "archives-"));
});

afterAll(() => fs.rmSync(archives, { recursive: true }));

interface Change {
  /** The changed resource of each node, without the node's name. */
  readonly part: string;
  readonly make: (config: Document) => void;
  /** The state of a changed node contains this. */
  readonly mark: string;
}

function greeting(text: string): Change {
  return {
    part: "base",
    make: (config) => config.setIn(["config", "moorage:os", "motd"], text),
    mark: text,
  };
}

/** Moves an image's archive, so that each node's Docker is asked for the image. */
function movedArchive(): Change {
  const archive = path.join(archives, "keepalived.tar");
  return {
    part: "images",
    make: (config) => {
      fs.copyFileSync(path.join(lab.images, "keepalived.tar"), archive);
      config.setIn(["config", "moorage:images", "keepalived"], { archive });
    },
    mark: archive,
  };
}

/** Nodes that are changed by what the state records. */
async function recorded({ part, mark }: Change): Promise<string[]> {
  const state = JSON.parse(await lab.state()) as {
    deployment: { resources: { urn: string; outputs?: object }[] };
  };
  return lab.nodes
    .map(({ name }) => name)
    .filter((name) =>
      state.deployment.resources.some(
        ({ urn, outputs }) => urn.endsWith(`::${name}-${part}`) && JSON.stringify(outputs).includes(mark),
      ),
    );
}

interface Case {
  readonly what: string;
  readonly fault: Fault;
  readonly change: () => Change;
  /** The whole message. */
  readonly says: RegExp;
  /** Whether a second update does the rest. The other cases leave that to the next case. */
  readonly isFinished?: true;
}

const cases: Case[] = [
  // It comes first: a pending change of a node's files would start Docker there.
  {
    what: "Docker is stopped",
    fault: dockerStopped,
    change: movedArchive,
    says: /^coreos4: nothing serves \/var\/run\/docker\.sock for core, so Docker does not run there or may not be used .*Start it \(`systemctl start docker`; .*, and run again\. If it runs: /,
    isFinished: true,
  },
  {
    what: "the SSH key is unknown",
    fault: wrongKey,
    change: () => greeting("wrong key"),
    says: /^coreos4: 127\.0\.0\.1:\d+ refuses the login as core with the configured private key\. Its public key \(ssh-ed25519 \S+\) must be in ~core\/\.ssh\/authorized_keys there, and the user name must be right\.$/,
  },
  {
    what: "the host key has changed",
    fault: changedHostKey,
    change: () => greeting("host key"),
    says: /^coreos4: 127\.0\.0\.1:\d+ shows another host key than the pinned one, so nothing was sent to it\. Found: SHA256:\S+, wanted: SHA256:\S+\. Compare with the key on the host's own console .*somebody else answers at this address\.$/,
  },
  {
    what: "the disk is full",
    fault: fullDisk,
    change: () => greeting("full disk"),
    says: /^coreos4: placing the files of base failed with exit code 1:\n.*No space left on device\n\/\S+ cannot be written\nThe disk is full: see with `df -h` where, free some space there .*, and run again\. What is done already stays\.$/,
  },
  {
    what: "the host hangs",
    fault: hanging,
    change: () => greeting("hanging"),
    says: /^coreos4: no SSH connection to core@127\.0\.0\.1:\d+ after 4 attempts: no answer within 15 s \(the host is off, frozen, or a firewall drops packets\)\nSwitch it on, or see on its console what it hangs in, and run again: what is done already stays\.$/,
    isFinished: true,
  },
];

test.each(cases)(
  "$what on one node: one clear error, and the other nodes' changes are recorded",
  async (one) => {
    const change = one.change();
    await lab.withConfig(change.make, async () => {
      const during = async () => {
        await one.fault.begin(lab, node);
        return timed(`an update fails: ${one.what}`, () => lab.up());
      };
      const { code, output } = await during().finally(() => one.fault.end(lab, node));
      expect(code).not.toBe(0);
      expect(errorsOf(output)).toEqual([expect.stringMatching(one.says)]);
      expect(output).not.toMatch(/^\s+at .+[(:]/m);

      const done = await recorded(change);
      expect(done.length, output).toBeGreaterThan(0);
      expect(done).not.toContain(node);
      if (!one.isFinished) return;
      const rest = await lab.mustUp();
      for (const { name } of lab.nodes) {
        if (done.includes(name)) expect(rest).not.toContain(`${name}-${change.part}`);
        else expect(rest).toContain(`${name}-${change.part} updated`);
      }
    });
  },
);

test("with the former configuration, nothing is left to change", async () => {
  await lab.mustUp();
  expectUnchanged(await lab.refresh());
});
