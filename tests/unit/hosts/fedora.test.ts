/** What only Fedora CoreOS has: an ostree, and enforced SELinux. */
import { etcdFiles, etcdScriptPath, nodeBaseFiles } from "@moorage/render";
import { describe, expect, it } from "vitest";
import type { NodeFilesInputs } from "../../../hosts/src/contract";
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

describe.skipIf(!canSandbox)("a file of the distribution on an ostree", () => {
  it("comes back when ours leaves the configuration, and is in force again", async () => {
    const sandbox = await ostree();
    const { id, outs } = await nodeFiles.create(base(sandbox, ["time.example.com"]));
    expect(sandbox.read("etc/chrony.conf")).toContain("server time.example.com iburst\n");
    expect(sandbox.told()).toEqual(["restart chronyd.service"]);
    const without = base(sandbox, []);
    const after = await nodeFiles.update(id, outs, without);
    expect(sandbox.read("etc/chrony.conf")).toBe(own);
    expect(sandbox.told()).toEqual(["restart chronyd.service"]);
    // A file that the distribution does not have is gone.
    expect(sandbox.read("etc/own/further")).toBeUndefined();
    expect(sandbox.read("run/moorage/pending-base")).toBeUndefined();
    await nodeFiles.update(id, after, without);
    expect(sandbox.told()).toEqual([]);
    // Destroyed twice, also if the file was removed by hand.
    sandbox.remove("etc/chrony.conf");
    for (let times = 0; times < 2; times += 1) {
      await nodeFiles.delete(id, outs);
      expect(sandbox.read("etc/chrony.conf")).toBe(own);
    }
  });

  it("is not restored on other systems, where another program may own that folder", async () => {
    const sandbox = await ostree();
    sandbox.remove("run/ostree-booted");
    const { id, outs } = await nodeFiles.create(base(sandbox, ["time.example.com"]));
    await nodeFiles.update(id, outs, base(sandbox, []));
    expect(sandbox.read("etc/chrony.conf")).toBeUndefined();
  });
});

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

  it("is given renewed certificates with the label that its container reads, and as they are elsewhere", async () => {
    const folder = "/run/moorage-etcd/tls";
    const labelled = ["ca.pem", "member.pem", "member-key.pem"].map(
      (name) => `--reference=${folder} ${folder}/.${name}\n`,
    );
    expect(await renewed(selinux("1"))).toBe(labelled.join(""));
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
