import * as tls from "node:tls";
import { afterEach, beforeAll, expect, test } from "vitest";
import { faults, type Place } from "../../lab/faults";
import { groupOf, processesOf } from "../../lab/faults/cgroups";
import type { RegistryAccess } from "../../lab/journey/push";
import { on, platformOf } from "../../lab/lab";
import { begin, takeBack } from "../chaos/hurt";
import { leaderOf } from "../chaos/strength";
import { holdersOf } from "../chaos/vip";
import { pushLayer } from "../support/blobs";
import { changedHostKey } from "../support/faults";
import { follow } from "../support/runbook";
import { managers, RunbookLab } from "../support/runbookLab";
import { inStore, registryUser } from "../support/store";
import { ask, eventually, type TestLab } from "../support/testLab";

/** `make runbook`: the pages of docs/runbook.md that no other test follows; each leaves the lab whole. */

const firstStorageNode = "coreos1";

let own: RunbookLab;
let lab: TestLab;
let access: RegistryAccess;
let places: readonly Place[];

beforeAll(async () => {
  own = await RunbookLab.whole();
  ({ lab, access, places } = own);
});

afterEach(async ({ task }) => {
  if (task.result?.state !== "fail") return;
  for (const pid of places.flatMap((one) => processesOf(groupOf(one, "systemd")))) goOn(pid);
  await own.mend();
});

function goOn(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // It has ended meanwhile.
  }
}

const place = (name: string): Place => own.place(name);
const serves = (path?: string): Promise<void> => own.serves(path);
const whole = (seconds?: number): Promise<void> => own.whole(seconds);

const isActive = async (name: string, unit: string): Promise<string> =>
  (await lab.root(name, `systemctl is-active ${unit}`)).stdout.trim();

const containerOf = async (name: string, service: string): Promise<string> =>
  (
    await lab.mustRoot(
      name,
      `docker ps -q --filter status=running --filter label=com.docker.swarm.service.name=${service}`,
    )
  ).trim();

test("keepalived is dead, or was stopped", async () => {
  const [holder = ""] = await holdersOf(lab.instance);
  await faults.kill.begin(place(holder), "keepalived");
  await eventually(15, serves);
  await eventually(30, async () => {
    expect(await isActive(holder, "moorage-keepalived.service")).toBe("active");
    expect(await holdersOf(lab.instance)).toHaveLength(1);
  });
  await lab.mustRoot(holder, "systemctl stop moorage-keepalived.service");
  await eventually(15, async () => {
    await serves();
    expect(await holdersOf(lab.instance)).not.toContain(holder);
  });
  await follow(lab, "keepalived is dead, or was stopped");
  expect(await isActive(holder, "moorage-keepalived.service")).toBe("active");
  await whole();
});

test("Swarm's leader is lost", async () => {
  const candidates = places.slice(0, managers.length);
  const leader = (await leaderOf(candidates)) ?? "";
  await faults.power.begin(place(leader));
  try {
    await eventually(60, async () => {
      const next = await leaderOf(candidates.filter(({ host }) => host.name !== leader));
      expect(managers.filter((name) => name !== leader)).toContain(next);
      await serves();
    });
  } finally {
    await faults.power.end(place(leader));
  }
  await whole();
});

test("Two of three managers are off", async () => {
  const lost = ["coreos2", "coreos3"].map(place);
  const layer = await pushLayer(lab, access);
  await begin({ fault: "power", role: "minio" }, lost);
  try {
    await eventually(60, () => serves(`/v2/demo/layers/blobs/sha256:${layer}`));
    // A leader steps down only once it has heard of nobody for a while.
    await eventually(60, async () => {
      expect((await lab.root("coreos1", "timeout 20 docker node ls")).code).not.toBe(0);
    });
    await expect(pushLayer(lab, access)).rejects.toThrow();
  } finally {
    await takeBack({ fault: "power", role: "minio" }, lost);
  }
  await whole();
});

test("Three storage nodes are off", async () => {
  const lost = places.slice(1);
  const layer = await pushLayer(lab, access);
  await begin({ fault: "power", role: "minio" }, lost);
  try {
    await eventually(60, () => expect(serves(`/v2/demo/layers/blobs/sha256:${layer}`)).rejects.toThrow());
    await expect(pushLayer(lab, access)).rejects.toThrow();
  } finally {
    await takeBack({ fault: "power", role: "minio" }, lost);
  }
  await eventually(240, () => serves(`/v2/demo/layers/blobs/sha256:${layer}`));
  await whole();
});

test("Docker is stopped, or hangs on a node", async () => {
  const node = "coreos4";
  const breaks = [
    "systemctl stop docker.socket docker.service 2>&1",
    "systemctl kill --kill-whom=main --signal=STOP docker.service",
  ];
  for (const line of breaks) {
    await lab.mustRoot(node, line);
    await eventually(60, async () => {
      expect((await lab.root(node, "timeout 5 docker info")).code).not.toBe(0);
      await serves();
    });
    await follow(lab, "Docker is stopped, or hangs on a node", { on: { NODE: node } });
    await whole();
  }
});

test.each(["minio", "registry", "s3", "nginx", "etcd"])("A container died: %s", async (program) => {
  await faults.kill.begin(place("coreos2"), program);
  await whole();
});

/** Stops all of a container's processes: the first is Docker's own, or others would go on without it. */
const freezeAll = (node: string, container: string): Promise<string> =>
  lab.mustRoot(node, `kill -STOP $(docker top ${container} -eo pid | tail -n +2)`);

test("A container hangs", async () => {
  const node = "coreos2";
  const minio = await containerOf(node, `minio-${node}`);
  await freezeAll(node, minio);
  await eventually(60, serves);
  await follow(lab, "A container hangs", {
    on: { "a manager": "coreos1" },
    names: { SERVICE: `minio-${node}` },
  });
  expect(await containerOf(node, `minio-${node}`)).not.toBe(minio);
  for (const service of [`registry-${node}`, `s3-${node}`, "nginx"]) {
    const before = await containerOf(node, service);
    await freezeAll(node, before);
    await eventually(180, async () => {
      const now = await containerOf(node, service);
      expect(now).not.toBe("");
      expect(now).not.toContain(before);
    });
    await serves();
  }
  await whole();
});

test("A data disk is full", async () => {
  const { begin: fill, end: empty } = faults["full-disk"];
  const layer = await pushLayer(lab, access);
  await fill(place("coreos4"));
  try {
    await eventually(60, async () => {
      await expect(pushLayer(lab, access, 2_000_000)).rejects.toThrow();
      await serves(`/v2/demo/layers/blobs/sha256:${layer}`);
    });
    await eventually(90, async () => {
      const said = await lab.mustRoot(firstStorageNode, "sh /etc/moorage/healing say");
      expect(said).toMatch(/^wanted=\d+ a drive was away, or full\n[^]*^looked=\d+ 3$/m);
    });
  } finally {
    await empty(place("coreos4"));
  }
  await whole();
});

test("A data disk is slow", async () => {
  const node = "coreos4";
  const push = async (): Promise<number> => {
    const start = Date.now();
    await pushLayer(lab, access, 16_000_000);
    return (Date.now() - start) / 1000;
  };
  const usual = await push();
  await faults["slow-disk"].begin(place(node));
  try {
    const slow = await push();
    await lab.mustRoot("coreos1", `docker service scale --detach minio-${node}=0`);
    let mended = slow;
    await eventually(120, async () => {
      mended = await push();
      expect(mended).toBeLessThan(slow / 2);
    });
    console.log(`16 MB are pushed in ${usual} s, with a slow disk in ${slow} s, without it in ${mended} s`);
    expect(slow).toBeGreaterThan(2 * usual);
  } finally {
    await faults["slow-disk"].end(place(node));
  }
  await lab.mustUp("--refresh");
  await whole(400);
  expect(await lab.plan()).toEqual([]);
});

test("A data disk is not mounted", async () => {
  const node = "coreos4";
  const mounted = "mountpoint -q /var/lib/moorage/data";
  // What has it open would keep it.
  const minio = await containerOf(node, `minio-${node}`);
  await lab.mustRoot(node, `umount -l /var/lib/moorage/data && docker kill ${minio}`);
  await eventually(60, async () => {
    const listed = await lab.mustRoot("coreos1", `docker service ps --no-trunc minio-${node}`);
    expect(listed).toMatch(/bind source path does not exist/);
    await serves();
  });
  expect((await lab.root(node, mounted)).code).not.toBe(0);
  await follow(lab, "A data disk is not mounted");
  await lab.mustRoot(node, mounted);
  await whole(400);
  expect(await lab.plan()).toEqual([]);
});

test("A data disk became read-only", async () => {
  await faults["read-only-disk"].begin(place("coreos4"));
  for (let layers = 0; layers < 3; layers++)
    await eventually(60, async () => void (await pushLayer(lab, access)));
  const boot = "cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic";
  const before = await lab.mustRoot("coreos4", boot);
  await follow(lab, "A data disk became read-only", { on: { NODE: "coreos4" } });
  await eventually(120, async () => {
    const now = await lab.root("coreos4", boot);
    expect(now.code).toBe(0);
    expect(now.stdout).not.toBe(before);
  });
  await whole();
});

test("MinIO's drive was emptied", async () => {
  await faults.wipe.begin(place("coreos3"), "minio");
  await whole(400);
});

test("All nodes lost their power", async () => {
  await begin({ fault: "power", role: "minio" }, places);
  await takeBack({ fault: "power", role: "minio" }, places);
  await whole(300);
});

/** The certificate that clients see. */
function shown(): Promise<tls.PeerCertificate> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: lab.instance.registryPort, ca: access.caCertificate };
    const socket = tls.connect(options, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

test("The registry's certificate or key has to go", async () => {
  const before = await shown();
  await follow(lab, "The registry's certificate or key has to go");
  await eventually(30, async () => {
    const now = await shown();
    expect(now.serialNumber).not.toBe(before.serialNumber);
    expect(now.pubkey?.equals(before.pubkey ?? Buffer.alloc(0))).toBe(false);
  });
  await serves();
  expect(await lab.plan()).toEqual([]);
});

test("The registries' key for the store has to go", async () => {
  const looks = "mc ls store/registry";
  const layer = await pushLayer(lab, access);
  const former = await registryUser(lab);
  expect(await inStore(lab, former, looks)).toContain("docker/");
  const [output] = await follow(lab, "The registries' key for the store has to go");
  expect(output).toContain(`storage: user ${former.name} is removed: no registry has its key any more`);
  const now = await registryUser(lab);
  expect(now.name).toMatch(/^registry-[0-9a-f]{8}$/);
  expect(now.name).not.toBe(former.name);
  for (const { host } of places) {
    expect(await inStore(lab, now, looks, host.name), host.name).toContain("docker/");
    expect(await inStore(lab, former, looks, host.name), host.name).toMatch(/does not exist/);
  }
  await serves(`/v2/demo/layers/blobs/sha256:${layer}`);
  await whole();
  expect(await lab.plan()).toEqual([]);
});

test("A user's password has to go", async () => {
  const passwords = async () => (await lab.outputs()).passwords as Record<string, string>;
  const old = (await passwords()).reader ?? "";
  const names = { USER: "reader" };
  // The page changes the configuration, too.
  const printed = await lab.withConfig(
    () => undefined,
    () => follow(lab, "A user's password has to go", { names }),
  );
  const now = (JSON.parse(printed[2] ?? "") as Record<string, string>).reader ?? "";
  expect(now).not.toBe(old);
  const status = async (password: string) =>
    (await ask(lab, access, "/v2/", { user: "reader", password })).status;
  // Fewer than make an address one that guesses, before and after the update that only puts the setting back.
  for (const work of [() => Promise.resolve(""), () => lab.mustUp()]) {
    await work();
    for (let asked = 0; asked < 4; asked++) {
      expect(await status(now)).toBe(200);
      expect(await status(old)).toBe(401);
    }
  }
  expect(await lab.plan()).toEqual([]);
});

test("A node shows another host key", async () => {
  await changedHostKey.begin(lab, "coreos4");
  try {
    const { code, output } = await lab.withConfig(
      (config) => config.setIn(["config", "moorage:os", "motd"], "another key"),
      () => lab.up(["--target", "**::coreos4-base"]),
    );
    expect(code).not.toBe(0);
    const [, found, wanted] = /Found: (SHA256:\S+), wanted: (SHA256:\S+)\./.exec(output) ?? [];
    const [said = ""] = await follow(lab, "A node shows another host key", { on: { NODE: "coreos4" } });
    expect(said).toContain(found);
    expect(said).not.toContain(wanted);
  } finally {
    await changedHostKey.end(lab, "coreos4");
  }
  await lab.mustUp();
  await whole();
});

test("A node is lost for good", async () => {
  await faults.lose.begin(place("coreos4"));
  // A guest's machine is made by the update.
  if (platformOf(lab.instance) !== "virtualbox") await on(lab.instance, lab.host("coreos4"));
  await follow(lab, "A node is lost for good");
  await whole(400);
  expect(await lab.plan()).toEqual([]);
});

test("Two of three managers lost their Swarm for good", async () => {
  for (const name of ["coreos2", "coreos3"]) {
    await lab.mustRoot(
      name,
      "systemctl stop docker.socket docker.service 2>&1 && rm -r /var/lib/docker/swarm && systemctl start docker.socket docker.service",
    );
  }
  await eventually(60, async () => {
    expect((await lab.root("coreos1", "timeout 20 docker node ls")).code).not.toBe(0);
  });
  await follow(lab, "Two of three managers lost their Swarm for good", {
    on: { "the manager that is left": "coreos1" },
    names: { ADDRESS: "10.0.2.11" },
  });
  const list = "docker node ls --format '{{.Hostname}} {{.Status}} {{if .ManagerStatus}}manager{{end}}'";
  expect(
    (await lab.mustRoot("coreos1", list))
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean)
      .sort(),
  ).toEqual([...managers.map((name) => `${name} Ready manager`), "coreos4 Ready"]);
  await whole(300);
  expect(await lab.plan()).toEqual([]);
});
