import { chownSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { PreflightHost, PreflightInputs } from "../../../hosts/src/contract";
import { preflight } from "../../../hosts/src/preflight";
import { blankDisk } from "./support/machine";
import { Sandbox, canSandbox } from "./support/sandbox";
import { keyPair } from "./support/ssh-server";
import { hurry, logged } from "./support/stop";

const docker = (info: string) => `#!/bin/sh\necho '${info}'\n`;
const healthy = docker("28.5.0|inactive|||/var/lib/docker");
// Debian's awk is a link into /etc, which is the host's own here.
const awk = `#!/bin/sh\nexec ${realpathSync("/usr/bin/awk")} "$@"\n`;
/** Any interface that every machine has. */
const LOOPBACK = "lo";

async function host(node: string, tools: Record<string, string> = {}) {
  const sandbox = await Sandbox.start({ docker: healthy, ...tools }, { node });
  const target = sandbox.server.connection();
  return { sandbox, host: { target, address: "10.0.2.11", interface: LOOPBACK, ports: [] as number[] } };
}

/** The same host while its installed system is not there yet. */
const installing = (found: PreflightHost): PreflightHost => ({
  ...found,
  installer: found.target,
  target: { ...found.target, hostKey: keyPair().public },
  disk: "/dev/sda",
});

const inputs = (hosts: Record<string, PreflightHost>): PreflightInputs => ({
  hosts,
  maximumClockSkew: 5,
  minimumFreeMiB: 0,
  timeoutSeconds: 100,
});

const create = async (hosts: Record<string, PreflightHost>) => (await preflight.create(inputs(hosts))).outs;
const finding = async (a: PreflightHost) => (await create({ a })).findings["a"];
const update = (outs: Parameters<typeof preflight.update>[1], hosts: Record<string, PreflightHost>) =>
  preflight.update("preflight", outs, inputs(hosts));

// Between two attempts to reach a host.
beforeEach(() => hurry());

describe.skipIf(!canSandbox)("preflight", () => {
  it("passes healthy hosts and says what it found, changing nothing", async () => {
    const { host: found, sandbox } = await host("a");
    expect(await finding(found)).toMatch(/^installed, lo MTU \d+, Docker 28\.5\.0$/);
    expect(sandbox.told()).toEqual([]);
  });

  it("warns of a Docker that loses services' names", async () => {
    const { host: found } = await host("a", { docker: docker("29.6.2|inactive|||/var/lib/docker") });
    expect(await finding(found)).toMatch(/Docker 29\.6\.2$/);
    expect(logged.at(-1)).toMatch(/^warning: a: .*moby #53141/);
  });

  it("reports every problem of every host in one message", async () => {
    const [a, b] = [
      (await host("a", { docker: docker("19.03.0|active|n1|foreign|/x") })).host,
      (await host("b", { date: "#!/bin/sh\necho 1000000000.0\n" })).host,
    ];
    const failure = create({
      a,
      b: { ...b, interface: "eth9", dataDisk: "/dev/none", dataLabel: "preflight-no" },
      c: { ...a, target: { ...a.target, node: "c", port: 1 } },
      d: { ...a, target: { ...a.target, node: "d", hostKey: keyPair().public } },
      e: { ...a, target: { ...a.target, node: "e", privateKey: keyPair().private } },
    });
    const { message } = await failure.then(
      () => expect.fail("it passed"),
      (error: Error) => error,
    );
    for (const line of [
      /^preflight found 8 problems; nothing was touched:\n/,
      /^ {2}a: its Docker is 19\.03\.0, .*\. To do: install 23\.0\.3 or newer, or 20\.10\.24$/m,
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
  });

  it("accepts a known host that is off if its settings have not changed", async () => {
    const [a, b] = [await host("a"), (await host("b")).host];
    const outs = await create({ a: a.host, b });
    await a.sandbox.server.stop();
    expect((await update(outs, { a: a.host, b: { ...b, ports: [1] } })).findings["a"]).toBe(
      "not reached now",
    );
    expect(logged.at(-1)).toMatch(/^warning: a: not looked at/);
    // The MTU that all nodes are to have says nothing of this one; older stacks have recorded no folder for objects.
    const wider = { a: { ...a.host, mtu: 9000, dataDirectory: "/srv" }, b: { ...b, mtu: 9000 } };
    expect(preflight.diff(outs, inputs(wider)).changes).toBe(true);
    const recorded = await update(outs, wider);
    expect(recorded.findings["a"]).toBe("not reached now");
    for (const change of [{ ports: [1] }, { dataDirectory: "/other" }]) {
      const changed = { ...wider, a: { ...wider.a, ...change } };
      await expect(update(recorded, changed)).rejects.toThrow(/1 problem; .*\n {2}a: no SSH connection/);
    }
  });
});

describe.skipIf(!canSandbox)("a change of nodes", () => {
  it("is known by the nodes whose installation changes, until they are removed", async () => {
    const a = (await host("a")).host;
    const hashes = (one?: string, two?: string) => ({
      a: { ...a, installHash: one },
      b: { ...a, installHash: two },
    });
    // Recorded before installations had hashes.
    const older = { ...inputs(hashes()), findings: {} };
    expect((await update(older, hashes("1", "1"))).row).toEqual([]);
    const outs = await create(hashes("1", "1"));
    expect(outs.row).toEqual([]);
    const second = await update(outs, hashes("1", "2"));
    expect(second.row).toEqual(["b"]);
    const third = await update(second, hashes("2", "2"));
    expect(third.row).toEqual(["a", "b"]);
    expect(preflight.diff(third, inputs(hashes("2", "2"))).changes).toBe(false);
    await expect(update(third, { ...hashes("2", "3"), c: a })).rejects.toThrow(
      /^c is new, and b would be reinstalled, which waits .*; nothing was touched\./,
    );
    expect((await update(third, { a: hashes("2").a })).row).toEqual(["a"]);
  });

  it("gives no node the address of another one that is still there", async () => {
    const [a, b] = [await host("a"), await host("b")];
    const at = (found: PreflightHost, last: string) => ({ ...found, address: `10.0.2.${last}` });
    const outs = await create({ a: at(a.host, "11"), b: at(b.host, "12") });
    await expect(update(outs, { a: at(a.host, "12"), b: at(b.host, "13") })).rejects.toThrow(
      /^a would get the address 10\.0\.2\.12, which is that of b until this update is through; nothing was touched\. Give b another/,
    );
    // Of one that this update removes; also by another name.
    const moved = { a: at(a.host, "12") };
    for (const hosts of [moved, { a: at(a.host, "11"), c: at(b.host, "12") }])
      await expect(update(outs, hosts)).rejects.toThrow(
        /^[ac] would get the address 10\.0\.2\.12, which is that of b: it still answers, and is removed at the end .*; nothing was touched\. Remove b first, run `pulumi up`, and give [ac] its/,
      );
    expect((await update(outs, { a: at(a.host, "14"), b: at(b.host, "13") })).row).toEqual([]);
    await b.sandbox.server.stop();
    expect((await update(outs, moved)).row).toEqual([]);
  });
});

describe.skipIf(!canSandbox)("what preflight finds on a host:", () => {
  it("ports, of which those of its own member of etcd are free", async () => {
    const { host: found, sandbox } = await host("a", { awk });
    const { port } = found.target;
    await expect(finding({ ...found, ports: [port] })).rejects.toThrow(`these ports are taken: ${port}/tcp`);
    const env = `ETCD_NAME=a\nETCD_LISTEN_CLIENT_URLS=https://h:${port},https://h:1\nETCD_LISTEN_PEER_URLS=https://h:2`;
    sandbox.tool(
      "docker",
      `#!/bin/sh\ncase "$*" in inspect*moorage-etcd) echo '${env}' ;; *) echo '28.5.0|inactive|||/x' ;; esac\n`,
    );
    expect(await finding({ ...found, ports: [port] })).toMatch(/^installed/);
  });

  it("room in Docker's folder, or in the one around it", async () => {
    const df = `#!/bin/sh
for last do true; done
echo "Filesystem 1M-blocks Used Available Capacity Mounted"
case "$last" in /var/tmp) free=3 ;; *) free=5000 ;; esac
echo "/dev/x 9 9 $free 1% /"
`;
    const of = async (root: string) => {
      const { host: a } = await host("a", { awk, docker: docker(`28.5.0|inactive|||${root}`), df });
      return preflight.create({ ...inputs({ a }), minimumFreeMiB: 1024 });
    };
    expect((await of("/var/lib/docker")).outs.findings["a"]).toMatch(/^installed/);
    await expect(of("/var/tmp/moorage-no/docker")).rejects.toThrow(
      "a: only 3 MiB are free where Docker keeps its data (/var/tmp), 1024 are wanted",
    );
  });

  it("a folder for objects", async () => {
    const folder = "/var/lib/objects";
    const { host: found, sandbox } = await host("a", { awk });
    const look = () => finding({ ...found, dataDirectory: folder });
    const fstab = (line: string) =>
      sandbox.write("etc/fstab", `# /dev/sdb ${folder} ext4\n/dev/sda / ext4 defaults 0 1\n${line}\n`);
    await expect(look()).rejects.toThrow(`a: there is no folder ${folder} for objects`);
    sandbox.write(folder, "");
    await expect(look()).rejects.toThrow(`a: ${folder} is no folder`);
    sandbox.remove(folder);
    mkdirSync(sandbox.at(folder));
    expect(await look()).toMatch(/, data folder on \/var\/lib$/);
    // What is mounted is no reason, nor what lies elsewhere.
    for (const line of ["/dev/sdb /var/lib ext4 defaults 0 2", `/dev/sdb ${folder}/x ext4`]) {
      fstab(line);
      expect(await look()).toMatch(/data folder/);
    }
    expect(logged.filter((line) => line.startsWith("warning"))).toEqual([]);
    fstab(`/dev/sdb ${folder}/ ext4 defaults 0 2`);
    await expect(look()).rejects.toThrow(`a: ${folder} is to be mounted by /etc/fstab, and is not`);
    fstab("");
    sandbox.tool("df", '#!/bin/sh\necho head\necho "/dev/x 9 9 5000 1% /"\n');
    await look();
    expect(logged.at(-1)).toMatch(
      /^warning: a: objects are kept in \/var\/lib\/objects, on the root file system/,
    );
    chownSync(sandbox.at(folder), 65534, 65534);
    await expect(look()).rejects.toThrow(`a: ${folder} is of user nobody, with mode 755: `);
  });

  it("a Docker that hangs, which is asked nothing more", async () => {
    const { host: found, sandbox } = await host("a");
    // As `timeout` ends what takes too long.
    const hanging = (what: string) =>
      sandbox.tool(
        "timeout",
        `#!/bin/sh\nshift\ncase "$*" in *"docker ${what}"*) exit 124 ;; esac\nexec "$@"\n`,
      );
    hanging("");
    await expect(finding(found)).rejects.toThrow(
      /1 problem; .*\n {2}a: Docker does not answer: no answer within 20 s\. To do: see `systemctl status docker`/,
    );
    hanging("inspect");
    expect(await finding(found)).toMatch(/^installed/);
  });

  it("network interfaces, by name and by MAC address, in either case", async () => {
    const { host: found } = await host("a");
    const mac = readFileSync("/sys/class/net/lo/address", "utf8").trim();
    expect(await finding({ ...found, nics: [LOOPBACK, mac] })).toMatch(/^installed/);
    expect(await finding({ ...found, interface: mac })).toMatch(/^installed/);
    const none = "0A:00:00:00:00:09";
    await expect(finding({ ...found, interface: none, nics: [LOOPBACK, "eth9", none] })).rejects.toThrow(
      /3 problems; .*\n {2}a: there is no network interface 0A:00:00:00:00:09\. .*\n {2}a: there is no network interface eth9, .*\n {2}a: there is no network interface 0A:00:00:00:00:09,/s,
    );
  });

  it("MTUs, of which none is compared that the update sets", async () => {
    const jumbo = '#!/bin/sh\ncase "$*" in */mtu) echo 9000 ;; *) exec /bin/cat "$@" ;; esac\n';
    const usual = jumbo.replace("9000", "1500");
    const [a, b] = [(await host("a", { cat: jumbo })).host, (await host("b", { cat: usual })).host];
    const of = (mtu?: number) => ({ a: { ...a, mtu }, b: { ...b, mtu } });
    await expect(create(of())).rejects.toThrow("all nodes: the nodes' MTUs differ: a 9000, b 1500");
    const outs = await create(of(9000));
    // An update that takes it back brings them to what they were.
    await update(outs, of());
    await expect(update({ ...outs, ...inputs(of()) }, of())).rejects.toThrow(/MTUs differ/);
    const c = installing((await host("c", { ...blankDisk, cat: jumbo })).host);
    expect((await create({ b, c })).findings["c"]).toMatch(/^live installer, lo MTU 9000/);
  });
});

describe.skipIf(!canSandbox)("a host that is to be installed", () => {
  it("may be in its live installer, with the image's file there", async () => {
    const { host: found } = await host("a", { ...blankDisk, docker: "#!/bin/sh\nexit 1\n" });
    const a = installing(found);
    expect(await finding(a)).toMatch(/^live installer, lo MTU \d+, disk blank$/);
    const image = { path: "/none/there.bin", sha512: "0".repeat(128) };
    await expect(preflight.create({ ...inputs({ a }), image })).rejects.toThrow(
      /1 problem; .*\n {2}os\.image: the image \/none\/there\.bin cannot be read: .*correct `os\.image\.path`/,
    );
    // Where all are installed it is not needed.
    const installed = { ...a, target: found.target };
    await expect(preflight.create({ ...inputs({ a: installed }), image })).rejects.not.toThrow(/os\.image/);
  });

  it("has a system disk with this stack's installation of the node, and no other one", async () => {
    const last = "for last; do :; done";
    const mounted = `#!/bin/sh\n${last}\nmkdir -p "$last/etc/moorage" && cp "$FAKE/mark" "$last/etc/moorage/install.json"\n`;
    const { host: found, sandbox } = await host("a", {
      ...blankDisk,
      docker: "#!/bin/sh\nexit 1\n",
      blkid: '#!/bin/sh\ncase "$*" in *export*) echo PTTYPE=gpt ;; *) exit 2 ;; esac\n',
      lsblk: '#!/bin/sh\ncase "$*" in *SERIAL*) echo S1 ;; esac\n',
      mount: mounted,
      umount: `#!/bin/sh\n${last}\nrm -r "$last"/*\n`,
    });
    const a = { ...installing(found), installHash: "wanted" };
    const rack = { ...inputs({ a }), stack: "moorage/rack" };
    const marked = (mark: object) => sandbox.write("mark", JSON.stringify({ installHash: "x", ...mark }));
    marked({ stack: "moorage/rack", node: "a" });
    const { outs } = await preflight.create(rack);
    expect(outs.findings["a"]).toMatch(/, disk a of stack moorage\/rack$/);
    marked({ stack: "moorage/other", node: "a" });
    await expect(preflight.update("preflight", outs, rack)).rejects.toThrow(
      /1 problem; .*\n {2}a: the disk \/dev\/sda is not empty \(a of stack moorage\/other\), .* set `nodes\.a\.erasableDisk` to "S1"/,
    );
    // An installation that names no stack is this one's only on a node that is known.
    marked({});
    await expect(preflight.create(rack)).rejects.toThrow(/\(an installation that names no stack\)/);
    expect((await preflight.update("preflight", outs, rack)).row).toEqual([]);
    const { stack, ...older } = outs;
    expect(preflight.diff(older, { ...rack, stack }).changes).toBe(false);
  });

  it("was installed by another stack if it has a third host key", async () => {
    const { host: found } = await host("a");
    const a = installing({ ...found, target: { ...found.target, hostKey: keyPair().public } });
    await expect(finding(a)).rejects.toThrow(
      /1 problem; .*\n {2}a: by its host key, .* neither .* To do: where an earlier stack of this name installed it, boot its live installer, which takes \/dev\/sda .* another one did, .* `nodes\.a\.erasableDisk`/,
    );
  });
});
