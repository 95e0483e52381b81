import * as tls from "node:tls";
import { afterEach, beforeAll, expect, test } from "vitest";
import { faults, type Place } from "../../lab/faults";
import { on, platformOf } from "../../lab/lab";
import { begin, takeBack } from "../chaos/hurt";
import { refusalProblems } from "../chaos/refusal";
import { leaderOf } from "../chaos/strength";
import { holdersOf } from "../chaos/vip";
import { changedHostKey } from "../support/faults";
import { hurtByCommand, mendByCommand } from "../support/labCommand";
import { follow } from "../support/runbook";
import { managers, RunbookLab } from "../support/runbookLab";
import { inStore, registryUser } from "../support/store";
import { ask, eventually, type TestLab } from "../support/testLab";

/** `make runbook`: with the files beside it the pages of docs/runbook.md that no other test follows; each leaves the lab whole. */

/** Until a quorum is missed, what is to be refused may hang for a minute: it is asked for again before that. */
const REFUSED_MS = 5000;

let own: RunbookLab;
let lab: TestLab;
let places: readonly Place[];

beforeAll(async () => {
  own = await RunbookLab.whole();
  ({ lab, places } = own);
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") await own.mend();
});

const place = (name: string): Place => own.place(name);
const serves = (path?: string): Promise<void> => own.serves(path);
const whole = (seconds?: number): Promise<void> => own.whole(seconds);

test("keepalived is dead, or was stopped", async () => {
  const [holder = ""] = await holdersOf(lab.instance);
  await hurtByCommand(lab.instance, holder, "kill", "keepalived");
  await eventually(15, serves);
  await eventually(30, async () => {
    expect(await own.isActive(holder, "moorage-keepalived.service")).toBe("active");
    expect(await holdersOf(lab.instance)).toHaveLength(1);
  });
  await lab.mustRoot(holder, "systemctl stop moorage-keepalived.service");
  await eventually(15, async () => {
    await serves();
    expect(await holdersOf(lab.instance)).not.toContain(holder);
  });
  await follow(lab, "keepalived is dead, or was stopped");
  expect(await own.isActive(holder, "moorage-keepalived.service")).toBe("active");
  await whole();
});

test("Swarm's leader is lost", async () => {
  const candidates = places.slice(0, managers.length);
  const leader = (await leaderOf(candidates)) ?? "";
  await hurtByCommand(lab.instance, leader, "power");
  try {
    await eventually(60, async () => {
      const next = await leaderOf(candidates.filter(({ host }) => host.name !== leader));
      expect(managers.filter((name) => name !== leader)).toContain(next);
      await serves();
    });
  } finally {
    await mendByCommand(lab.instance, leader, "power");
  }
  await whole();
});

test("Two of three managers are off", async () => {
  const lost = ["coreos2", "coreos3"].map(place);
  const layer = await own.push();
  const known = await own.known();
  const asks = own.asksFor(REFUSED_MS);
  await begin({ fault: "power", role: "minio" }, lost);
  try {
    await eventually(60, async () => expect(await refusalProblems("pushes", known, asks)).toEqual([]));
    await eventually(60, () => own.pulls(layer));
    // A leader steps down only once it has heard of nobody for a while.
    await eventually(60, async () => {
      expect((await lab.root("coreos1", "timeout 20 docker node ls")).code).not.toBe(0);
    });
    // That it stays so is all that the registry's clients are told.
    expect(await refusalProblems("pushes", known, asks)).toEqual([]);
  } finally {
    await takeBack({ fault: "power", role: "minio" }, lost);
  }
  await whole();
  await own.pulls(layer);
});

/** What a client is told by the front of a node, asked for at that node's own address. */
async function toldBy(node: string, path: string, method = "GET"): Promise<string> {
  const { host, username } = own.access;
  const trusts = `--cacert /etc/docker/certs.d/${host}/ca.crt --connect-to ::${lab.host(node).address}:443`;
  const asks = `curl -s -i --max-time 30 ${trusts} --user "${username}:$secret" -X ${method} https://${host}${path}`;
  return lab.client("client1", `read -r secret; ${asks}; true`, `${own.access.password}\n`);
}

test("Three storage nodes are off", async () => {
  const [left = place("coreos1"), ...lost] = places;
  const layer = await own.push();
  const { repository, digest } = await own.known();
  const manifest = `/v2/${repository}/manifests/${digest}`;
  const uploads = `/v2/${repository}/blobs/uploads/`;
  await begin({ fault: "power", role: "minio" }, lost);
  try {
    await eventually(60, async () => {
      expect(await holdersOf(lab.instance)).toEqual([]);
      const heard = await own.asksFor(REFUSED_MS)([
        { path: "/v2/", method: "GET" },
        { path: manifest, method: "GET" },
        { path: uploads, method: "POST" },
      ]);
      // Not even a refusal: nobody answers.
      expect(heard.map(({ status }) => status)).toEqual([0, 0, 0]);
    });
    for (const [path, method] of [
      [manifest, "GET"],
      [uploads, "POST"],
    ] as const) {
      await eventually(90, async () => {
        const told = await toldBy(left.host.name, path, method);
        expect(told).toMatch(/^HTTP\/\S+ 503\b/);
        expect(told).toMatch(/^retry-after: [1-9]\d*\r?$/im);
        expect(told).toMatch(/"code": ?"UNAVAILABLE"/);
      });
    }
  } finally {
    await takeBack({ fault: "power", role: "minio" }, lost);
  }
  await eventually(240, () => own.pulls(layer));
  await whole();
  const read = await own.asksFor(60_000)([{ path: manifest, method: "GET" }]);
  expect(read.map((heard) => heard.digest)).toEqual([digest]);
});

test.each(["minio", "registry", "s3", "nginx", "etcd"])("A container died: %s", async (program) => {
  await faults.kill.begin(place("coreos2"), program);
  await whole();
});

test("All nodes lost their power", async () => {
  await begin({ fault: "power", role: "minio" }, places);
  await takeBack({ fault: "power", role: "minio" }, places);
  await whole(300);
});

const SHOWN_MS = 5000;

/** The certificate that clients see. */
function shown(): Promise<tls.PeerCertificate> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: lab.instance.registryPort, ca: own.access.caCertificate };
    const socket = tls.connect(options, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on("error", reject);
    // What leads to the front takes a connection also where that is silent.
    socket.setTimeout(SHOWN_MS, () => socket.destroy(new Error("no certificate in time")));
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
  const layer = await own.push();
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
    (await ask(lab, own.access, "/v2/", { user: "reader", password })).status;
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
  await hurtByCommand(lab.instance, "coreos4", "lose");
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
