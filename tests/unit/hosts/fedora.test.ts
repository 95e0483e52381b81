/** What Fedora CoreOS has that the others have not: an ostree, and SELinux that is enforced. */
import { mkdirSync } from "node:fs";
import { etcdFiles, etcdScriptPath, nodeBaseFiles } from "@moorage/render";
import { describe, expect, it } from "vitest";
import type { NodeFilesInputs } from "../../../hosts/src/contract";
import { diskStateFunction } from "../../../hosts/src/disk-claim";
import { nodeFiles } from "../../../hosts/src/node-files";
import { exec } from "../../../hosts/src/ssh/exec";
import { Sandbox, canSandbox } from "./support/sandbox";

const own = "pool 2.fedora.pool.ntp.org iburst\nsourcedir /run/chrony-dhcp\n";

/** A node that was booted from an ostree, with the clock's own settings. */
async function ostree(): Promise<Sandbox> {
  const sandbox = await Sandbox.start({}, {}, { "/usr": { "etc/chrony.conf": own } });
  sandbox.write("run/ostree-booted", "");
  sandbox.write("etc/chrony.conf", own);
  for (const sign of ["exists", "active", "enabled"]) {
    for (const unit of ["docker", "chronyd"]) sandbox.write(`units/${unit}.service.${sign}`, "");
  }
  return sandbox;
}

function base(sandbox: Sandbox, ntp: readonly string[]): NodeFilesInputs {
  const { files } = nodeBaseFiles({
    ...{ distribution: "fedora-coreos", docker: {}, registryNames: [], caCertificate: "", noProxy: [], ntp },
  });
  const clock = Object.entries(files).filter(([path]) => path === "/etc/chrony.conf");
  const more = { "/etc/own/further": { content: "x", mode: 0o644, apply: { action: "none" } as const } };
  return {
    connection: sandbox.server.connection(),
    part: "base",
    files: { ...Object.fromEntries(clock), ...(ntp.length > 0 ? more : {}) },
    units: {},
  };
}

describe.skipIf(!canSandbox)("a file of the distribution's on an ostree", () => {
  it("comes back when ours leaves the configuration, and is in force again", async () => {
    const sandbox = await ostree();
    const { id, outs } = await nodeFiles.create(base(sandbox, ["time.example.com"]));
    expect(sandbox.read("etc/chrony.conf")).toContain("server time.example.com iburst\n");
    expect(sandbox.told()).toEqual(["restart chronyd.service"]);
    const without = base(sandbox, []);
    expect(without.files).toEqual({});
    const after = await nodeFiles.update(id, outs, without);
    expect(sandbox.read("etc/chrony.conf")).toBe(own);
    expect(sandbox.told()).toEqual(["restart chronyd.service"]);
    // What the distribution does not have is gone.
    expect(sandbox.read("etc/own/further")).toBeUndefined();
    expect(sandbox.read("run/moorage/pending-base")).toBeUndefined();
    await nodeFiles.update(id, after, without);
    expect(sandbox.told()).toEqual([]);
  });

  it("comes back where the stack is destroyed, also once it was removed by hand", async () => {
    const sandbox = await ostree();
    const { id, outs } = await nodeFiles.create(base(sandbox, ["time.example.com"]));
    sandbox.remove("etc/chrony.conf");
    await nodeFiles.delete(id, outs);
    expect(sandbox.read("etc/chrony.conf")).toBe(own);
    await nodeFiles.delete(id, outs);
    expect(sandbox.read("etc/chrony.conf")).toBe(own);
  });

  it("is not looked for elsewhere, where another program may have a folder of that name", async () => {
    const sandbox = await ostree();
    sandbox.remove("run/ostree-booted");
    const { id, outs } = await nodeFiles.create(base(sandbox, ["time.example.com"]));
    await nodeFiles.update(id, outs, base(sandbox, []));
    expect(sandbox.read("etc/chrony.conf")).toBeUndefined();
  });
});

/** Prints where the marker of an installation lies; a disk is a folder here. */
const mount = '#!/bin/sh\nfor last do :; done\ncp -a "$FAKE/disk/." "$last"\n';
const umount = '#!/bin/sh\nfor last do :; done\nrm -rf "$last"/*\n';

describe.skipIf(!canSandbox)("a disk with Fedora CoreOS", () => {
  const state = async (marker: string): Promise<string> => {
    const tools = { mount, umount, readlink: "#!/bin/sh\necho /dev/loop0\n", lsblk: "#!/bin/sh\n" };
    const blkid = '#!/bin/sh\ncase "$*" in *export*) echo PTTYPE=gpt ;; *) exit 2 ;; esac\n';
    const sandbox = await Sandbox.start({ ...tools, blkid });
    mkdirSync(sandbox.at("disk"));
    sandbox.write(`disk/${marker}`, '{"node":"a"}\n');
    const { stdout } = await exec(sandbox.server.connection(), [
      ...["sh", "-c", `${diskStateFunction}\ndisk_state /dev/sda`],
    ]);
    return stdout.trim();
  };

  it("holds what the marker says that one of its versions has, and is a stranger's elsewhere", async () => {
    const version = "ostree/deploy/fedora-coreos/deploy/0123abcd.0";
    expect(await state(`${version}/etc/moorage/install.json`)).toBe('installation {"node":"a"}');
    expect(await state("etc/moorage/install.json")).toBe('installation {"node":"a"}');
    expect(await state(`${version}/etc/hostname`)).toBe("PTTYPE=gpt");
  });
});

/** Notes who gets which label, and has it afterwards. */
const chcon = `#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE/chcon.log"
`;

const selinux = (enforce: string) => ({ "/sys/fs": { "selinux/enforce": enforce } });

describe.skipIf(!canSandbox)("a member of etcd where SELinux is enforced", () => {
  /** A node with the member's files, where `docker` says what the container is started with. */
  const node = async (over: Record<string, Record<string, string>>, label = chcon): Promise<Sandbox> => {
    const sandbox = await Sandbox.start({ chcon: label, docker: "#!/bin/sh\necho docker $*\n" }, {}, over);
    const { files } = etcdFiles({
      ...{ node: "a", image: "etcd", clientAddress: "10.0.2.11", peerAddress: "10.0.2.11" },
      ...{ clientPort: 2379, peerPort: 2380, token: "t", dataFolder: "/var/lib/moorage/etcd" },
      ...{ heartbeatMs: 250, electionMs: 2500, quotaMiB: 2048, ca: "ca", certificate: "cert", key: "key" },
      compaction: { mode: "periodic", retention: "1h" },
    });
    for (const [path, { content }] of Object.entries(files)) sandbox.write(path.slice(1), content);
    return sandbox;
  };
  const renewed = async (over: Record<string, Record<string, string>>): Promise<string | undefined> => {
    const sandbox = await node(over);
    await exec(sandbox.server.connection(), ["sh", etcdScriptPath, "reload"]);
    expect(sandbox.read("run/moorage-etcd/tls/member.pem")).toBe("cert");
    return sandbox.read("chcon.log");
  };

  it("is given renewed certificates with the label that its container reads", async () => {
    const folder = "/run/moorage-etcd/tls";
    const labelled = ["ca.pem", "member.pem", "member-key.pem"].map(
      (name) => `--reference=${folder} ${folder}/.${name}\n`,
    );
    expect(await renewed(selinux("1"))).toBe(labelled.join(""));
  });

  it("is given them as they are elsewhere", async () => {
    expect(await renewed({})).toBeUndefined();
    expect(await renewed(selinux("0"))).toBeUndefined();
  });

  it("starts where they cannot have it, as Docker gives it to all, and keeps those that it has where it runs", async () => {
    const sandbox = await node(selinux("1"), '#!/bin/sh\necho "chcon: no policy" >&2\nexit 1\n');
    sandbox.write("var/lib/moorage/etcd/store/member/wal/0.wal", "");
    const started = await exec(sandbox.server.connection(), ["sh", etcdScriptPath, "start"]);
    expect(started.stdout).toContain("docker run --rm --name moorage-etcd");
    expect(started.stderr).toContain("/run/moorage-etcd/tls/.member.pem does not get the label");
    expect(sandbox.read("run/moorage-etcd/tls/member.pem")).toBe("cert");
    sandbox.write("etc/moorage/etcd/member.pem", "renewed");
    await expect(exec(sandbox.server.connection(), ["sh", etcdScriptPath, "reload"])).rejects.toThrow(
      "label",
    );
    expect(sandbox.read("run/moorage-etcd/tls/member.pem")).toBe("cert");
  });
});
