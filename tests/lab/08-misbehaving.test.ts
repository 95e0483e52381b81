import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Document } from "yaml";
import { changedHostKey, dockerStopped, type Fault, fullDisk, hanging, wrongKey } from "../support/faults";
import { ended, errorsOf } from "../support/output";
import { expectUnchanged } from "../support/service";
import { TestLab } from "../support/testLab";

const node = "coreos4";

let lab: TestLab;
let archives: string;

beforeAll(async () => {
  lab = await TestLab.standing();
  archives = fs.mkdtempSync(path.join(lab.instance.dir, "archives-"));
});

afterAll(() => fs.rmSync(archives, { recursive: true }));

interface Change {
  /** The resource of each node that it changes, without the node's name. */
  readonly part: string;
  readonly make: (config: Document) => void;
  /** Text that is recorded of a node once the change is made there. */
  readonly mark: string;
}

function greeting(text: string): Change {
  return {
    part: "base",
    make: (config) => config.setIn(["config", "moorage:os", "motd"], text),
    mark: text,
  };
}

/** The image stays, its archive has moved: each node's Docker is asked whether the image is there. */
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

/** Nodes of which the state says that the change is made. */
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
  /** Time limit of the update that meets the fault. */
  readonly seconds: number;
  /** Whether another update does the rest; the others leave that to the one after them. */
  readonly isFinished?: true;
}

const cases: Case[] = [
  // First, since a change of a node's files that is still pending would start Docker there.
  {
    what: "a host without its Docker",
    fault: dockerStopped,
    change: movedArchive,
    says: /^coreos4: nothing serves \/var\/run\/docker\.sock for core, so Docker does not run there or may not be used .*Start it \(`systemctl start docker`; .*, and run again\. If it runs: /,
    seconds: 60,
    isFinished: true,
  },
  {
    what: "a host that knows another key",
    fault: wrongKey,
    change: () => greeting("wrong key"),
    says: /^coreos4: 127\.0\.0\.1:\d+ refuses the login as core with the configured private key\. Its public key \(ssh-ed25519 \S+\) must be in ~core\/\.ssh\/authorized_keys there, and the user name must be right\.$/,
    seconds: 60,
  },
  {
    what: "a host that shows another host key",
    fault: changedHostKey,
    change: () => greeting("host key"),
    says: /^coreos4: 127\.0\.0\.1:\d+ shows another host key than the pinned one, so nothing was sent to it\. Found: SHA256:\S+, wanted: SHA256:\S+\. Compare with the key on the host's own console .*somebody else answers at this address\.$/,
    seconds: 60,
  },
  {
    what: "a full disk",
    fault: fullDisk,
    change: () => greeting("full disk"),
    says: /^coreos4: placing the files of base failed with exit code 1:\n.*No space left on device\n\/\S+ cannot be written\nThe disk is full: see with `df -h` where, free some space there .*, and run again\. What is done already stays\.$/,
    seconds: 60,
  },
  {
    what: "a host that hangs",
    fault: hanging,
    change: () => greeting("hanging"),
    says: /^coreos4: no SSH connection to core@127\.0\.0\.1:\d+ after 4 attempts: no answer within 15 s \(the host is off, frozen, or a firewall drops packets\)\nSwitch it on, or see on its console what it hangs in, and run again: what is done already stays\.$/,
    seconds: 150,
    isFinished: true,
  },
];

describe("one host misbehaves while all are changed", () => {
  test.each(cases)("$what: one clear error in time, and the rest is recorded", async (one) => {
    const change = one.change();
    await lab.withConfig(change.make, async () => {
      const { code, output, seconds } = await during(one.fault);
      expect(code).not.toBe(0);
      expect(errorsOf(output)).toEqual([expect.stringMatching(one.says)]);
      expect(output).not.toMatch(/^\s+at .+[(:]/m);
      expect(seconds).toBeLessThan(one.seconds);

      const done = await recorded(change);
      expect(done.length, output).toBeGreaterThan(0);
      expect(done).not.toContain(node);
      if (!one.isFinished) return;
      const rest = await lab.mustUp();
      for (const name of lab.nodes.map((host) => host.name)) {
        if (done.includes(name)) expect(rest).not.toContain(`${name}-${change.part}`);
        else expect(rest).toContain(`${name}-${change.part} updated`);
      }
    });
  });

  async function during(fault: Fault): Promise<{ code: number; output: string; seconds: number }> {
    try {
      await fault.begin(lab, node);
      const start = Date.now();
      const ran = await lab.up();
      return { ...ran, seconds: (Date.now() - start) / 1000 };
    } finally {
      await fault.end(lab, node);
    }
  }
});

test("of two updates at once the second says who holds the lock, and changes nothing", async () => {
  const change = greeting("two at once");
  await lab.withConfig(change.make, async () => {
    const first = lab.startUp();
    const finished = ended(first);
    const second = await finished.saying(/updating/).then(() => lab.up());
    const { code, output } = await finished;
    expect(code, output).toBe(0);
    expect(second.code).not.toBe(0);
    expect(second.output).toMatch(/the stack is currently locked by 1 lock/);
    expect(second.output).toMatch(new RegExp(`created by \\S+@\\S+ \\(pid ${first.pid}\\) at `));
    expect(second.output).not.toMatch(/updat(ing|ed)/);
    expect(await recorded(change)).toHaveLength(lab.nodes.length);
  });
});

describe("mistakes in the configuration", () => {
  const at = (...keys: string[]): string[] => ["config", ...keys];

  function mistaken(config: Document): void {
    const nodes = (...keys: string[]): string[] => at("moorage:nodes", ...keys);
    config.setIn(nodes("coreos2", "address"), "10.0.2.11");
    config.setIn(nodes("coreos3", "roles"), ["worker", "storage", "registry"]);
    config.setIn(nodes("coreos5"), { roles: ["worker", "storage"] });
    config.setIn(nodes("coreos1", "rols"), ["edge"]);
    config.setIn(at("moorage:edge", "vip"), "10.0.3.10");
    config.setIn(at("moorage:network", "overlay", "subnet"), "10.0.0.0/16");
    config.setIn(at("moorage:images", "nginx"), { name: "nginx", digest: "sha256:12" });
    config.setIn(at("moorage:images", "haproxy"), { archive: "/not/here.tar" });
    config.setIn(at("moorage:os", "files", "/etc/hosts"), { content: "127.0.0.1 own\n" });
  }

  const wanted = [
    "moorage:nodes.coreos1.rols: found an unknown key; wanted no such key",
    "moorage:nodes.coreos5.address: found nothing; wanted an IPv4 address such as 10.0.2.11",
    'moorage:images.nginx.digest: found "sha256:12"; wanted sha256: and 64 hexadecimal digits',
    "moorage:images.haproxy.archive: found /not/here.tar; wanted an archive made by `docker save`: ENOENT: no such file or directory, open '/not/here.tar'",
    "moorage:nodes: found 2 managers (coreos1, coreos2); wanted an odd number of managers, three or more to survive the loss of one",
    "moorage:nodes: found 5 storage nodes (coreos1, coreos2, coreos3, coreos4, coreos5); wanted exactly four nodes with role storage, one drive of the erasure set each",
    "moorage:nodes.coreos5.dataDisk: found nothing; wanted a device, as the node has role storage",
    "moorage:nodes.coreos5.disk: found nothing; wanted the device to install on",
    "moorage:nodes.coreos2.address: found 10.0.2.11; wanted another than that of coreos1",
    "moorage:network.overlay.subnet: found 10.0.0.0/16; wanted a subnet that does not overlap network.subnet (10.0.2.0/24)",
    "moorage:edge.vip: found 10.0.3.10; wanted an address in network.subnet (10.0.2.0/24)",
    "moorage:nodes.coreos5.ssh.port: found 22, which is the hypervisor's own; wanted a port of the hypervisor that leads to this node alone, such as 2011",
    "moorage:os.files./etc/hosts: found a file that the program writes itself; wanted another path, or the key of the configuration that the file is made from",
  ];

  test.each(["preview", "up"])("are told all at once by %s, before anything is touched", async (command) => {
    const before = await resources();
    const { code, output } = await lab.withConfig(mistaken, () =>
      command === "up" ? lab.up() : lab.pulumi([command]),
    );
    expect(code).not.toBe(0);
    expect(errorsOf(output)).toEqual([
      [`The stack's configuration has ${wanted.length} mistakes; nothing was touched.`, ...wanted].join("\n"),
    ]);
    expect(output).not.toMatch(/unhandled|^\s+at .+[(:]/m);
    expect(output).not.toMatch(/::|(created|updated|deleted|replaced|creating|updating failed)/);
    expect(before.length).toBeGreaterThan(100);
    expect(await resources()).toEqual(before);
  });

  /** Each resource of the state, and when it was last changed. */
  async function resources(): Promise<string[]> {
    const state = JSON.parse(await lab.state()) as {
      deployment: { resources: { urn: string; modified?: string }[] };
    };
    return state.deployment.resources.map(({ urn, modified }) => `${urn} ${modified}`);
  }
});

test("with all that taken back, the lab is as it was", async () => {
  await lab.mustUp();
  expectUnchanged(await lab.refresh());
});
