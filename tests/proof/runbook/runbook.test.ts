/** The pages of docs/runbook.md that no other file follows. Each test leaves the lab whole. */
import * as tls from "node:tls";
import { expect, test } from "vitest";
import { faults } from "../../../lab/faults";
import { on, platformOf } from "../../../lab/lab";
import { leaderOf } from "../../support/cluster";
import { changedHostKey } from "../../support/faults";
import { begin, takeBack } from "../../support/hurt";
import { hurtByCommand, mendByCommand } from "../../support/labCommand";
import { managers, RunbookLab } from "../../support/runbookLab";
import { inStore, registryUser } from "../../support/store";
import { ask } from "../../support/testLab";
import { holdersOf } from "../../support/vip";
import { until } from "../../support/waiting";

const own = RunbookLab.forFile();

test("keepalived is dead, or was stopped", async () => {
  const { lab } = own;
  const unit = "moorage-keepalived.service";
  const [holder = ""] = await holdersOf(own.instance);
  await hurtByCommand(own.instance, holder, "kill", "keepalived");
  await until("the registry answers", () => own.serves());
  const isBack = async (): Promise<void> => {
    expect(await own.isActive(holder, unit)).toBe("active");
    expect(await holdersOf(own.instance)).toHaveLength(1);
  };
  await until("keepalived was restarted", isBack, { netSeconds: 150 });
  await lab.mustRoot(holder, `systemctl stop ${unit}`);
  const hasMoved = async (): Promise<void> => {
    await own.serves();
    expect(await holdersOf(own.instance)).not.toContain(holder);
  };
  await until("another node has the VIP", hasMoved, { netSeconds: 120 });
  await own.follow("keepalived is dead, or was stopped");
  expect(await own.isActive(holder, unit)).toBe("active");
  await own.whole();
});

test("Swarm's leader is lost", async () => {
  const candidates = own.places.slice(0, managers.length);
  const leader = (await leaderOf(candidates)) ?? "";
  await hurtByCommand(own.instance, leader, "power");
  try {
    const isElected = async (): Promise<void> => {
      const next = await leaderOf(candidates.filter(({ host }) => host.name !== leader));
      expect(managers.filter((name) => name !== leader)).toContain(next);
      await own.serves();
    };
    await until("another manager leads", isElected, { netSeconds: 300 });
  } finally {
    await mendByCommand(own.instance, leader, "power");
  }
  await own.whole();
});

test.each(["minio", "registry", "haproxy", "nginx", "etcd"])("A container died: %s", async (program) => {
  await faults.kill.begin(own.place("coreos2"), program);
  await own.whole();
});

test("All nodes lost their power", async () => {
  await begin({ fault: "power" }, own.places);
  await takeBack({ fault: "power" }, own.places);
  await own.whole();
});

/** The certificate that clients get. */
function certificate(): Promise<tls.PeerCertificate> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: own.instance.registryPort, ca: own.access.caCertificate };
    const socket = tls.connect(options, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on("error", reject);
    // The forward accepts a connection even if the front is silent.
    socket.setTimeout(5000, () => socket.destroy(new Error("no certificate")));
  });
}

test("The registry's certificate or key has to go", async () => {
  const before = await certificate();
  await own.follow("The registry's certificate or key has to go");
  const isNew = async (): Promise<void> => {
    const now = await certificate();
    expect(now.serialNumber).not.toBe(before.serialNumber);
    expect(now.pubkey?.equals(before.pubkey ?? Buffer.alloc(0))).toBe(false);
  };
  await until("clients get the new certificate", isNew, { netSeconds: 180 });
  await own.serves();
  expect(await own.lab.plan()).toEqual([]);
});

test("The registries' key for the store has to go", async () => {
  const { lab } = own;
  const looks = "mc ls store/registry";
  const layer = await own.push();
  const former = await registryUser(lab);
  expect(await inStore(lab, former, looks)).toContain("docker/");
  const [output] = await own.follow("The registries' key for the store has to go");
  expect(output).toContain(`storage: user ${former.name} is removed: no registry has its key any more`);
  const now = await registryUser(lab);
  expect(now.name).toMatch(/^registry-[0-9a-f]{8}$/);
  expect(now.name).not.toBe(former.name);
  for (const { host } of own.places) {
    expect(await inStore(lab, now, looks, host.name), host.name).toContain("docker/");
    expect(await inStore(lab, former, looks, host.name), host.name).toMatch(/does not exist/);
  }
  await own.serves(`/v2/demo/layers/blobs/sha256:${layer}`);
  await own.wholeAndUnchanged();
});

test("A user's password has to go", async () => {
  const { lab } = own;
  const passwords = async () => (await lab.outputs()).passwords as Record<string, string>;
  const old = (await passwords()).reader ?? "";
  const names = { USER: "reader" };
  // The page changes the configuration.
  const printed = await lab.withConfig(
    () => undefined,
    () => own.follow("A user's password has to go", { names }),
  );
  const now = (JSON.parse(printed[2] ?? "") as Record<string, string>).reader ?? "";
  expect(now).not.toBe(old);
  const status = async (password: string) =>
    (await ask(lab, own.access, "/v2/", { user: "reader", password })).status;
  // Few enough that the address is not blocked. The second update only restores the setting.
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
  const { lab } = own;
  await changedHostKey.begin(lab, "coreos4");
  try {
    const { code, output } = await lab.withConfig(
      (config) => config.setIn(["config", "moorage:os", "motd"], "another key"),
      () => lab.up(["--target", "**::coreos4-base"]),
    );
    expect(code).not.toBe(0);
    const [, found, wanted] = /Found: (SHA256:\S+), wanted: (SHA256:\S+)\./.exec(output) ?? [];
    const [said = ""] = await own.follow("A node shows another host key", { on: { NODE: "coreos4" } });
    expect(said).toContain(found);
    expect(said).not.toContain(wanted);
  } finally {
    await changedHostKey.end(lab, "coreos4");
  }
  await lab.mustUp();
  await own.whole();
});

test("A node is lost for good", async () => {
  await hurtByCommand(own.instance, "coreos4", "lose");
  // The update creates a guest's machine.
  if (platformOf(own.instance) !== "virtualbox") await on(own.instance, own.lab.host("coreos4"));
  await own.follow("A node is lost for good");
  await own.wholeAndUnchanged();
});
