import { chownSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { PreflightHost, PreflightInputs } from "../../../hosts/src/contract";
import { preflight } from "../../../hosts/src/preflight";
import { Sandbox, canSandbox } from "./support/sandbox";
import { keyPair } from "./support/ssh-server";
import { logged } from "./support/stop";

const docker = (info: string) => `#!/bin/sh\necho '${info}'\n`;
const healthy = docker("28.5.0|inactive|||/var/lib/docker");
// Debian's awk is a link into /etc, which is the host's own here.
const awk = `#!/bin/sh\nexec ${realpathSync("/usr/bin/awk")} "$@"\n`;
/** The machine's own addresses are nobody's business here: any interface that is there will do. */
const LOOPBACK = "lo";

async function host(
  node: string,
  tools: Record<string, string> = {},
): Promise<{ sandbox: Sandbox; host: PreflightHost }> {
  const sandbox = await Sandbox.start({ docker: healthy, ...tools }, { node });
  return {
    sandbox,
    host: { target: sandbox.server.connection(), address: "10.0.2.11", interface: LOOPBACK, ports: [] },
  };
}

const inputs = (hosts: Record<string, PreflightHost>): PreflightInputs => ({
  hosts,
  minimumDocker: "20.10",
  maximumClockSkew: 5,
  minimumFreeMiB: 0,
  timeoutSeconds: 30,
});

describe.skipIf(!canSandbox)("preflight", () => {
  it("passes healthy hosts and says what it found, changing nothing", async () => {
    const [a, b] = [await host("a"), await host("b")];
    const { outs } = await preflight.create(inputs({ a: a.host, b: b.host }));
    expect(outs.findings["a"]).toMatch(/^installed, lo MTU \d+, Docker 28\.5\.0$/);
    expect(a.sandbox.told()).toEqual([]);
  });

  it("knows of whose installation has changed, until they are gone: an update may have stopped among them", async () => {
    const [a, b] = [(await host("a")).host, (await host("b")).host];
    const hashes = (one?: string, two?: string) =>
      inputs({ a: { ...a, installHash: one }, b: { ...b, installHash: two } });
    // One that was recorded before hashes were is no other.
    const older = { ...hashes(), findings: {} };
    expect((await preflight.update("preflight", older, hashes("1", "1"))).row).toEqual([]);
    const { outs } = await preflight.create(hashes("1", "1"));
    expect(outs.row).toEqual([]);
    const second = await preflight.update("preflight", outs, hashes("1", "2"));
    expect(second.row).toEqual(["b"]);
    const third = await preflight.update("preflight", second, hashes("2", "2"));
    expect(third.row).toEqual(["a", "b"]);
    expect(preflight.diff(third, hashes("2", "2")).changes).toBe(false);
    const more = inputs({ ...hashes("2", "3").hosts, c: a });
    await expect(preflight.update("preflight", third, more)).rejects.toThrow(
      /^c is new, and b would be reinstalled, which waits .*; nothing was touched\./,
    );
    const { hosts } = hashes("2");
    const fewer = await preflight.update("preflight", third, inputs({ a: hosts.a as PreflightHost }));
    expect(fewer.row).toEqual(["a"]);
  });

  it("gives no node an address that another one has until the same update is through", async () => {
    const [a, b] = [(await host("a")).host, (await host("b")).host];
    const at = (one: string, two: string) =>
      inputs({ a: { ...a, address: `10.0.2.${one}` }, b: { ...b, address: `10.0.2.${two}` } });
    const { outs } = await preflight.create(at("11", "12"));
    await expect(preflight.update("preflight", outs, at("12", "13"))).rejects.toThrow(
      /^a would get the address 10\.0\.2\.12, which is that of b until this update is through; nothing was touched\. Give b another/,
    );
    expect((await preflight.update("preflight", outs, at("14", "13"))).row).toEqual([]);
  });

  it("nor the address of one that this update removes, while that is still there", async () => {
    const [a, b] = [await host("a"), await host("b")];
    const at = (found: PreflightHost, last: string) => ({ ...found, address: `10.0.2.${last}` });
    const before = inputs({ a: at(a.host, "11"), b: at(b.host, "12") });
    const { outs } = await preflight.create(before);
    const taken =
      /^[ac] would get the address 10\.0\.2\.12, which is that of b: it still answers, and is removed at the end .*; nothing was touched\. Remove b first, run `pulumi up`, and give [ac] its/;
    const moved = inputs({ a: at(a.host, "12") });
    await expect(preflight.update("preflight", outs, moved)).rejects.toThrow(taken);
    // So is a new node's, or the same one's by another name.
    const renamed = inputs({ a: at(a.host, "11"), c: at(b.host, "12") });
    await expect(preflight.update("preflight", outs, renamed)).rejects.toThrow(taken);
    expect((await preflight.update("preflight", outs, inputs({ a: at(a.host, "11") }))).row).toEqual([]);
    await b.sandbox.server.stop();
    expect((await preflight.update("preflight", outs, moved)).row).toEqual([]);
  }, 30_000);

  it("reports every problem of every host in one message", async () => {
    const [a, b] = [
      await host("a", { docker: docker("19.03.0|active|n1|foreign|/x") }),
      await host("b", { date: "#!/bin/sh\necho 1000000000.0\n" }),
    ];
    const hosts = {
      a: a.host,
      b: { ...b.host, interface: "eth9", dataDisk: "/dev/none" },
      c: { ...a.host, target: { ...a.host.target, node: "c", port: 1 } },
      d: { ...a.host, target: { ...a.host.target, node: "d", hostKey: keyPair().public } },
      e: { ...a.host, target: { ...a.host.target, node: "e", privateKey: keyPair().private } },
    };
    const message = await preflight.create(inputs(hosts)).then(
      () => "passed",
      (error: Error) => error.message,
    );
    expect(message).toMatch(/^preflight found 8 problems; nothing was touched:\n/);
    for (const line of [
      /^ {2}a: its Docker is 19\.03\.0\. To do: install 20\.10 or newer$/m,
      /^ {2}a: it is in another Swarm already \(foreign\)\. To do: /m,
      /^ {2}b: its clock is .* s behind the operator's/m,
      /^ {2}b: there is no network interface eth9\. To do: list them there with `ip link`/m,
      /^ {2}b: there is no data disk \/dev\/none/m,
      /^ {2}c: no SSH connection to core@127\.0\.0\.1:1 after 2 attempts: .*\. To do: switch it on/m,
      /^ {2}d: .* shows another host key than the pinned one.*answers at this address\. To do: set that right/m,
      /^ {2}e: .* refuses the login as core.*the user name must be right\. To do: set that right/m,
    ]) {
      expect(message).toMatch(line);
    }
  }, 30_000);

  it("takes the ports of a host's own member of etcd for its own, as that was started", async () => {
    const env = [
      "ETCD_NAME=a",
      "ETCD_LISTEN_CLIENT_URLS=https://h:$port,https://h:1",
      "ETCD_LISTEN_PEER_URLS=https://h:2",
    ];
    const { host: found, sandbox } = await host("a", { awk });
    const { port } = found.target;
    const ports = [port];
    await expect(preflight.create(inputs({ a: { ...found, ports } }))).rejects.toThrow(
      `these ports are taken: ${port}/tcp`,
    );
    const lines = env.map((line) => `echo "${line.replace("$port", String(port))}"`).join("; ");
    sandbox.tool(
      "docker",
      `#!/bin/sh\ncase "$*" in inspect*moorage-etcd) ${lines} ;; *) echo '28.5.0|inactive|||/x' ;; esac\n`,
    );
    expect((await preflight.create(inputs({ a: { ...found, ports } }))).outs.findings["a"]).toMatch(
      /^installed/,
    );
  });

  it("asks how much is free where Docker keeps its data, wherever that is", async () => {
    const df = `#!/bin/sh
for last do true; done
echo "Filesystem 1M-blocks Used Available Capacity Mounted"
case "$last" in /var/tmp) free=3 ;; *) free=5000 ;; esac
echo "/dev/x 9 9 $free 1% /"
`;
    const of = async (root: string) => {
      const { host: found } = await host("a", { awk, docker: docker(`28.5.0|inactive|||${root}`), df });
      return preflight.create({ ...inputs({ a: found }), minimumFreeMiB: 1024 });
    };
    expect((await of("/var/lib/docker")).outs.findings["a"]).toMatch(/^installed/);
    // It makes its folder at its next start.
    await expect(of("/var/tmp/moorage-no/docker")).rejects.toThrow(
      "a: only 3 MiB are free where Docker keeps its data (/var/tmp), 1024 are wanted",
    );
  });

  describe("looks at a folder for objects", () => {
    const folder = "/var/lib/objects";

    async function withFolder(prepare: (sandbox: Sandbox) => void, tools: Record<string, string> = {}) {
      const { host: found, sandbox } = await host("a", { awk, ...tools });
      prepare(sandbox);
      return preflight.create(inputs({ a: { ...found, dataDirectory: folder } }));
    }
    const make = (sandbox: Sandbox) => mkdirSync(sandbox.at(folder));

    it("that is root's, on whatever is mounted there", async () => {
      const { outs } = await withFolder(make);
      expect(outs.findings["a"]).toMatch(/, data folder on \/var\/lib$/);
      expect(logged.filter((line) => line.startsWith("warning"))).toEqual([]);
    });

    it("that is not there, is a file, or somebody else's", async () => {
      await expect(withFolder(() => undefined)).rejects.toThrow(
        `a: there is no folder ${folder} for objects`,
      );
      await expect(withFolder((sandbox) => sandbox.write(folder, ""))).rejects.toThrow(
        `a: ${folder} is no folder`,
      );
      const others = (sandbox: Sandbox) => {
        make(sandbox);
        chownSync(sandbox.at(folder), 65534, 65534);
      };
      await expect(withFolder(others)).rejects.toThrow(`a: ${folder} is of user nobody, with mode 755: `);
    });

    it("that is to be mounted, or lies in what is to be, by a line of /etc/fstab that counts", async () => {
      const to = (line: string) => (sandbox: Sandbox) => {
        make(sandbox);
        sandbox.write("etc/fstab", `# /dev/sdb ${folder} ext4\n/dev/sda / ext4 defaults 0 1\n${line}\n`);
      };
      await expect(withFolder(to(`/dev/sdb ${folder}/ ext4 defaults 0 2`))).rejects.toThrow(
        `a: ${folder} is to be mounted by /etc/fstab, and is not`,
      );
      // What is mounted is no reason, nor is what lies elsewhere.
      expect((await withFolder(to("/dev/sdb /var/lib ext4 defaults 0 2"))).outs.findings["a"]).toMatch(
        /data folder/,
      );
      expect((await withFolder(to(`/dev/sdb ${folder}/x ext4`))).outs.findings["a"]).toMatch(/data folder/);
    });

    it("of which the root file system is warned of", async () => {
      const df = '#!/bin/sh\necho head\necho "/dev/x 9 9 5000 1% /"\n';
      await withFolder(make, { df });
      expect(logged.at(-1)).toMatch(
        /^warning: a: objects are kept in \/var\/lib\/objects, on the root file system/,
      );
    });

    it("which older stacks have not recorded: a node that is off is none the less as it was", async () => {
      const [a, b] = [await host("a"), await host("b")];
      const { outs } = await preflight.create(inputs({ a: a.host, b: b.host }));
      await a.sandbox.server.stop();
      const next = (dataDirectory: string) => inputs({ a: { ...a.host, dataDirectory }, b: b.host });
      const told = await preflight.update("", outs, next(folder));
      expect(told.findings["a"]).toBe("not reached now");
      await expect(preflight.update("", told, next("/srv/other"))).rejects.toThrow(/a: no SSH connection/);
    }, 30_000);
  });

  it("says that Docker does not answer where it hangs, and asks it nothing more", async () => {
    const hurried = '#!/bin/sh\nshift\nexec /usr/bin/timeout 1 "$@"\n';
    const hung = "#!/bin/sh\nexec sleep 60\n";
    const { host: found, sandbox } = await host("a", { docker: hung, timeout: hurried });
    const of = () => preflight.create({ ...inputs({ a: found }), timeoutSeconds: 10 });
    await expect(of()).rejects.toThrow(
      /1 problem; .*\n {2}a: Docker does not answer: no answer within 20 s\. To do: see `systemctl status docker`/,
    );
    // One that answers only at first.
    sandbox.tool(
      "docker",
      `#!/bin/sh\ncase "$1" in inspect) exec sleep 60 ;; *) echo '28.5.0|inactive|||/x' ;; esac\n`,
    );
    expect((await of()).outs.findings["a"]).toMatch(/^installed/);
  }, 30_000);

  it("looks at the live installer where the installed system is not there yet", async () => {
    const { host: found } = await host("a", {
      docker: "#!/bin/sh\nexit 1\n",
      blkid: "#!/bin/sh\nexit 2\n",
      readlink: "#!/bin/sh\necho /dev/loop0\n",
    });
    const metal = {
      ...found,
      installer: found.target,
      target: { ...found.target, hostKey: keyPair().public },
      disk: "/dev/sda",
    };
    const { outs } = await preflight.create(inputs({ a: metal }));
    expect(outs.findings["a"]).toMatch(/^live installer, lo MTU \d+, disk blank$/);
  });

  it("takes a system disk with this stack's installation of the node, and no other one", async () => {
    const last = "for last; do :; done";
    const mounted = `#!/bin/sh\n${last}\nmkdir -p "$last/etc/moorage" && cp "$FAKE/mark" "$last/etc/moorage/install.json"\n`;
    const { host: found, sandbox } = await host("a", {
      docker: "#!/bin/sh\nexit 1\n",
      blkid: '#!/bin/sh\ncase "$*" in *export*) echo PTTYPE=gpt ;; *) exit 2 ;; esac\n',
      lsblk: '#!/bin/sh\ncase "$*" in *SERIAL*) echo S1 ;; esac\n',
      readlink: "#!/bin/sh\necho /dev/loop0\n",
      mount: mounted,
      umount: `#!/bin/sh\n${last}\nrm -r "$last"/*\n`,
    });
    const target = { ...found.target, hostKey: keyPair().public };
    const waiting = { ...found, installer: found.target, target, disk: "/dev/sda", installHash: "wanted" };
    const rack = { ...inputs({ a: waiting }), stack: "moorage/rack" };
    const marked = (mark: object) => sandbox.write("mark", JSON.stringify(mark));
    marked({ installHash: "x", stack: "moorage/rack", node: "a" });
    const { outs } = await preflight.create(rack);
    expect(outs.findings["a"]).toMatch(/, disk a of stack moorage\/rack$/);
    marked({ installHash: "x", stack: "moorage/other", node: "a" });
    await expect(preflight.update("preflight", outs, rack)).rejects.toThrow(
      /1 problem; .*\n {2}a: the disk \/dev\/sda is not empty \(a of stack moorage\/other\), .* set `nodes\.a\.erasableDisk` to "S1"/,
    );
    // Of one that names none, the installation of a node that is known knows more.
    marked({ installHash: "x" });
    await expect(preflight.create(rack)).rejects.toThrow(/\(an installation that names no stack\)/);
    expect((await preflight.update("preflight", outs, rack)).row).toEqual([]);
    const { stack, ...older } = outs;
    expect(preflight.diff(older, { ...rack, stack }).changes).toBe(false);
  });

  it("looks for network interfaces, by name and by MAC address, in either case", async () => {
    const { host: found } = await host("a");
    const mac = readFileSync("/sys/class/net/lo/address", "utf8").trim();
    const of = (nics: string[]) => preflight.create(inputs({ a: { ...found, nics } }));
    expect((await of([LOOPBACK, mac])).outs.findings["a"]).toMatch(/^installed/);
    const first = (name: string) => preflight.create(inputs({ a: { ...found, interface: name } }));
    expect((await first(mac)).outs.findings["a"]).toMatch(/^installed/);
    await expect(first("0A:00:00:00:00:09")).rejects.toThrow(
      /a: there is no network interface 0A:00:00:00:00:09/,
    );
    await expect(of([LOOPBACK, "eth9", "0A:00:00:00:00:09"])).rejects.toThrow(
      /2 problems; .*\n {2}a: there is no network interface eth9, .*\n {2}a: there is no network interface 0A:00:00:00:00:09,/,
    );
  });

  it("asks for the image's file while a node waits to be installed from it, and only then", async () => {
    const { host: found } = await host("a", {
      blkid: "#!/bin/sh\nexit 2\n",
      readlink: "#!/bin/sh\necho /dev/loop0\n",
    });
    const image = { path: "/none/there.bin", sha512: "0".repeat(128) };
    const metal = { ...found, installer: found.target, disk: "/dev/sda" };
    expect((await preflight.create({ ...inputs({ a: metal }), image })).outs.findings["a"]).toMatch(
      /^installed/,
    );
    const waiting = { ...metal, target: { ...found.target, hostKey: keyPair().public } };
    await expect(preflight.create({ ...inputs({ a: waiting }), image })).rejects.toThrow(
      /1 problem; .*\n {2}os\.image: the image \/none\/there\.bin cannot be read: .*correct `os\.image\.path`/,
    );
  });

  it("compares no MTU that the update sets", async () => {
    const jumbo = '#!/bin/sh\ncase "$*" in */mtu) echo 9000 ;; *) exec /bin/cat "$@" ;; esac\n';
    const usual = jumbo.replace("9000", "1500");
    const [a, b] = [(await host("a", { cat: jumbo })).host, (await host("b", { cat: usual })).host];
    const of = (mtu?: number) => inputs({ a: { ...a, mtu }, b: { ...b, mtu } });
    await expect(preflight.create(of())).rejects.toThrow("all nodes: the nodes' MTUs differ: a 9000, b 1500");
    const { outs } = await preflight.create(of(9000));
    // Taken back, it is on its way to what it was.
    await preflight.update("preflight", outs, of());
    await expect(preflight.update("preflight", { ...outs, ...of() }, of())).rejects.toThrow(/MTUs differ/);
    const blank = { blkid: "#!/bin/sh\nexit 2\n", readlink: "#!/bin/sh\necho /dev/loop0\n", cat: jumbo };
    const live = (await host("c", blank)).host;
    const target = { ...live.target, hostKey: keyPair().public };
    const c = { ...live, installer: live.target, target, disk: "/dev/sda" };
    expect((await preflight.create(inputs({ b, c }))).outs.findings["c"]).toMatch(
      /^live installer, lo MTU 9000/,
    );
  });

  it("takes a host with a third host key for one that another stack installed", async () => {
    const { host: found } = await host("a");
    const other = { ...found.target, hostKey: keyPair().public };
    const metal = {
      ...found,
      installer: other,
      target: { ...other, hostKey: keyPair().public },
      disk: "/dev/sda",
    };
    await expect(preflight.create(inputs({ a: metal }))).rejects.toThrow(
      /1 problem; .*\n {2}a: by its host key, .* neither .* To do: where an earlier stack of this name installed it, boot its live installer, which takes \/dev\/sda .* another one did, .* `nodes\.a\.erasableDisk`/,
    );
  });

  it("lets a host be off that was looked at before and has not changed", async () => {
    const [a, b] = [await host("a"), await host("b")];
    const { outs } = await preflight.create(inputs({ a: a.host, b: b.host }));
    await a.sandbox.server.stop();
    const next = inputs({ a: a.host, b: { ...b.host, ports: [1] } });
    expect((await preflight.update("", outs, next)).findings["a"]).toBe("not reached now");
    expect(logged.at(-1)).toMatch(/^warning: a: not looked at/);
    // The MTU that all nodes are to have says nothing of this one; older stacks have recorded none.
    const wider = inputs({ a: { ...a.host, mtu: 9000 }, b: { ...b.host, mtu: 9000 } });
    expect(preflight.diff(outs, wider).changes).toBe(true);
    expect((await preflight.update("", outs, wider)).findings["a"]).toBe("not reached now");
    const changed = inputs({ a: { ...a.host, ports: [1] }, b: b.host });
    await expect(preflight.update("", outs, changed)).rejects.toThrow(
      /1 problem; .*\n {2}a: no SSH connection/,
    );
  }, 30_000);
});
