import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { disksOf } from "../../../lab/disks";
import { consoleRun } from "../../../lab/hosts";
import { hostNamed, type Host } from "../../../lab/instance";
import { accessFrom } from "../../../lab/journey/journey";
import { introduce, onHost, pushAndPull, type RegistryAccess } from "../../../lab/journey/push";
import { hostPublicKey, installerKey } from "../../../lab/keys";
import { up } from "../../../lab/lab";
import { ensureTools } from "../../../toolchain";
import { OrdinaryCheckout } from "../../support/ordinary";
import { OwnLab } from "../../support/ownLab";
import { commandLinesDuring, expectKept } from "../../support/secrets";
import { expectUnchanged } from "../../support/service";

const quiet = (): void => undefined;
const dataFolder = "/srv/registry";

/** The owners' /etc/docker/daemon.json, where there was one. */
const ownersSettings: Readonly<Record<string, string>> = {
  coreos1:
    '{"data-root": "/var/lib/docker/owner", "live-restore": true,\n "log-driver": "journald", "labels": ["rack=1"]}',
  coreos3: '{"labels": ["rack=3"]}\n',
};

describe("platform existing: hosts that already run Docker, with an ordinary installation of Pulumi", () => {
  let lab: OwnLab;
  let checkout: OrdinaryCheckout;
  let before: Record<string, string>;
  let digest: string;

  const nodes = (): Host[] => lab.instance.hosts.filter((host) => host.kind === "node");

  async function root(host: Host, line: string): Promise<string> {
    const done = await consoleRun(host, ["sh", "-c", line]);
    if (done.code !== 0) throw new Error(`${host.name}: ${line}: ${done.stderr}${done.stdout}`);
    return done.stdout;
  }

  /** The registry by the stack's outputs, with both clients logged in. */
  async function introduced(): Promise<RegistryAccess> {
    const access = accessFrom(await checkout.outputs());
    for (const client of ["client1", "client2"]) await introduce(lab.instance, client, access);
    return access;
  }

  /** Makes a host like its owner left it. One with settings has a file system in place of a blank disk. */
  async function settleIn(host: Host): Promise<void> {
    const settings = ownersSettings[host.name];
    if (settings === undefined) return;
    const disk = `/dev/disk/by-id/${disksOf(host)[1]?.id}`;
    await root(
      host,
      [
        "mkdir -p /etc/docker",
        `printf %s '${settings}' > /etc/docker/daemon.json`,
        "chmod 600 /etc/docker/daemon.json",
        `mkfs.ext4 -q ${disk} && mkdir -p ${dataFolder} && mount ${disk} ${dataFolder}`,
        "systemctl restart docker",
        "docker volume create ledger",
      ].join(" && "),
    );
  }

  /** Everything of a host that its owner would notice. */
  function stateOf(host: Host): Promise<string> {
    return root(
      host,
      [
        "cd /etc",
        "find . -type f -printf '%p %m %U:%G ' -exec sh -c 'sha256sum < \"$1\"' sh {} \\; | sort",
        "find . -type l -printf '%p %l\\n' | sort",
        "systemctl list-units --state=active --plain --no-legend --type=service,socket,mount | cut -d' ' -f1 | grep -v '^run-docker\\|^run-user\\|^user'",
        "ss -ltnH | awk '{ print $4 }' | grep -v '^127.0.0.1' | sort",
        "docker info --format '{{.DockerRootDir}} {{.LoggingDriver}} {{.LiveRestoreEnabled}} {{json .Labels}} {{.Swarm.LocalNodeState}}'",
        "docker ps --all --quiet; docker volume ls --quiet; docker images --quiet",
        // Docker keeps this one of its own once it was in a Swarm.
        "docker network ls --format '{{.Name}}' | grep -v docker_gwbridge",
      ].join("\n"),
    );
  }

  /** `Pulumi.existing.yaml` with this lab's hosts in it. */
  function writeStackFile(): void {
    const document = parseDocument(
      fs.readFileSync(path.join(checkout.folder, "Pulumi.existing.yaml"), "utf8"),
    );
    const sample = Object.values(
      (document.toJS() as { config: Record<string, Record<string, object>> }).config["moorage:nodes"] ?? {},
    );
    const entries = nodes().map((host, at) => [
      host.name,
      {
        ...sample[at],
        address: host.address,
        ssh: { host: "127.0.0.1", port: host.sshPort, user: "core", hostKey: hostPublicKey(host) },
        ...(host.name in ownersSettings
          ? { dataDirectory: dataFolder }
          : { dataDirectory: undefined, dataDisk: `/dev/disk/by-id/${disksOf(host)[1]?.id}` }),
      },
    ]);
    document.setIn(["config", "moorage:nodes"], Object.fromEntries(entries));
    document.setIn(["config", "moorage:network", "subnet"], "10.0.2.0/24");
    // The lab's hosts share a kernel that has no IPsec for overlays.
    document.setIn(["config", "moorage:network", "overlay"], { encrypted: false });
    document.setIn(["config", "moorage:edge", "vip"], lab.instance.vip);
    document.setIn(["config", "moorage:swarm"], { dockerApi: true });
    fs.writeFileSync(path.join(checkout.folder, "Pulumi.prod.yaml"), document.toString());
  }

  beforeAll(async () => {
    lab = await OwnLab.begin();
    const tools = await ensureTools(quiet);
    await up({ platform: "existing", say: quiet });
    await Promise.all(nodes().map(settleIn));
    before = Object.fromEntries(
      await Promise.all(nodes().map(async (host) => [host.name, await stateOf(host)])),
    );
    checkout = await OrdinaryCheckout.make(tools, installerKey(lab.instance));
    writeStackFile();
    const init = await checkout.pulumi("stack", "init", "prod");
    if (init.code !== 0) throw new Error(init.output);
  });

  afterAll(async () => {
    checkout?.remove();
    await lab?.end();
  });

  test("are not touched if their data folders are unusable, and the error says what to do about each", async () => {
    const [first, , third] = nodes();
    if (!first || !third) throw new Error("three nodes are needed");
    const disk = `/dev/disk/by-id/${disksOf(third)[1]?.id}`;
    await root(first, `chown nobody ${dataFolder}`);
    await root(third, `umount ${dataFolder} && echo '${disk} ${dataFolder} ext4 nofail 0 2' >> /etc/fstab`);
    try {
      const { code, output } = await checkout.change("up");
      expect(code, output).not.toBe(0);
      expect(output).toContain("preflight found 2 problems; nothing was touched:");
      expect(output).toContain(`${first.name}: ${dataFolder} is of user nobody, with mode 755: MinIO, `);
      expect(output).toContain(`${third.name}: ${dataFolder} is to be mounted by /etc/fstab, and is not: `);
    } finally {
      await root(first, `chown root ${dataFolder}`);
      await root(third, `mount ${dataFolder} && sed -i '$d' /etc/fstab`);
    }
    for (const host of nodes()) expect(await stateOf(host), host.name).toBe(before[host.name]);
  });

  test("become a registry by one update, which shows no secret in its output, a process list or a log", async () => {
    const [{ code, output }, commandLines] = await commandLinesDuring(() => checkout.change("up"));
    expect(code, output).toBe(0);
    const asked = {
      nodes: nodes(),
      mustRoot: (name: string, line: string) => root(hostNamed(lab.instance, name), line),
      state: async () => (await checkout.pulumi("stack", "export", "--show-secrets")).output,
    };
    await expectKept(asked, commandLines, { output });
    expect(output).toMatch(/acceptance: \d+ checks passed/);
    expect(output).not.toMatch(/warning/i);
    expect(await checkout.outputs()).not.toHaveProperty("sshPrivateKey");
  });

  test("serve a push and a pull of the same digest", async () => {
    for (const client of ["client1", "client2"]) {
      const line = `echo ${lab.instance.vip} registry.example.com | sudo tee -a /etc/hosts`;
      await onHost(lab.instance, hostNamed(lab.instance, client), line);
    }
    const access = await introduced();
    expect(access.host).toBe("registry.example.com");
    const archive = path.join(checkout.folder, ".images", "hello.tar");
    digest = await pushAndPull(lab.instance, access, archive);
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test("keep their owners' Docker settings, except for those that the services need", async () => {
    const info =
      "docker info --format '{{.DockerRootDir}} {{.LoggingDriver}} {{.LiveRestoreEnabled}} {{.Labels}}'";
    const [first, second, third] = nodes();
    if (!first || !second || !third) throw new Error("three nodes are needed");
    expect(await root(first, info)).toBe("/var/lib/docker/owner json-file false [rack=1]\n");
    expect(await root(first, "docker volume ls --quiet")).toContain("ledger");
    expect(await root(first, "stat -c %a /etc/docker/daemon.json")).toBe("600\n");
    expect(await root(second, info)).toBe("/var/lib/docker json-file false []\n");
    expect(await root(third, info)).toBe("/var/lib/docker json-file false [rack=3]\n");
  });

  test("are not changed by a refresh and a second update", async () => {
    expectUnchanged(await checkout.change("up", "--refresh"));
  });

  test("are as before after `destroy`", async () => {
    const { code, output } = await checkout.change("destroy");
    expect(code, output).toBe(0);
    expect(output).not.toMatch(/warning/i);
    for (const host of nodes()) expect(await stateOf(host), host.name).toBe(before[host.name]);
    for (const host of nodes()) {
      const settings = await root(host, "cat /etc/docker/daemon.json 2>/dev/null || true");
      expect(settings, host.name).toBe(ownersSettings[host.name] ?? "");
    }
  });

  test("have what was pushed after the next update", async () => {
    const { code, output } = await checkout.change("up");
    expect(code, output).toBe(0);
    const image = `${(await introduced()).host}/demo/hello@${digest}`;
    const again = `docker image rm --force ${image} >/dev/null; docker pull --quiet ${image}`;
    expect(await onHost(lab.instance, hostNamed(lab.instance, "client2"), again)).toContain(digest);
  });
});
