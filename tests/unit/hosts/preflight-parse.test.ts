import { describe, expect, it } from "vitest";
import type { PreflightHost, PreflightInputs } from "../../../hosts/src/contract";
import { skewOf } from "../../../hosts/src/preflight";
import { dataFolderWarning } from "../../../hosts/src/preflight/data-folder";
import { dockerVersionWarning } from "../../../hosts/src/preflight/docker-version";
import { isOurs, mtuProblem, parseFacts, parseMark, problemsOf } from "../../../hosts/src/preflight/parse";
import type { Looked } from "../../../hosts/src/preflight/parse";

const connection = { node: "a", host: "h", port: 22, user: "core" };
const host: PreflightHost = {
  target: connection,
  installer: connection,
  installHash: "1",
  address: "10.0.2.11",
  disk: "/dev/sda",
  dataDisk: "/dev/sdb",
  ports: [2377, 4789, 7946, 443],
};
const inputs: PreflightInputs = {
  hosts: { a: host },
  maximumClockSkew: 2,
  timeoutSeconds: 60,
};

const healthy = {
  now: "1700000000.25",
  root: "0",
  interface: "eth0",
  mtu: "1500",
  data_state: "blank",
  data_real: "/dev/sdb",
  tcp: "0016 1538",
  udp: "0044",
  docker_cli: "yes",
  docker: "28.5.0|inactive|||/var/lib/docker",
  mark: "",
  docker_folder: "/mnt/docker",
  free_mib: "20000",
  install: "",
  end: "yes",
};

function output(changes: Record<string, string | undefined> = {}): string {
  const lines = Object.entries({ ...healthy, ...changes }).filter(([, value]) => value !== undefined);
  return lines.map(([key, value]) => `${key}=${value ?? ""}`).join("\n");
}

function problems(
  changes: Record<string, string | undefined>,
  stage: Looked["stage"] = "installed",
  skew = 0,
  of: PreflightHost = host,
): string[] {
  const looked = { stage, facts: parseFacts(output(changes)), skew };
  return problemsOf(of, looked, inputs, new Set()).map(({ what, advice }) => `${what} -> ${advice}`);
}

describe("a host's answer", () => {
  it("is read whole", () => {
    const facts = parseFacts(output({ disk: "blank", disk_real: "/dev/sda" }));
    expect(facts).toMatchObject({
      ...{ now: 1700000000.25, interface: "eth0", mtu: 1500, disk: "blank", freeMiB: 20000, complete: true },
      docker: { version: "28.5.0", state: "inactive", nodeId: "", clusterId: "" },
    });
    expect([...facts.tcp]).toEqual([22, 5432]);
  });

  it("of a healthy host holds no problem", () => {
    expect(problems({})).toEqual([]);
    expect(problems({ disk: "blank" }, "installer")).toEqual([]);
  });

  it("may hold several", () => {
    const changes = { tcp: "01BB", docker: "19.03|inactive|||", free_mib: "1" };
    expect(problems(changes, "installed", 60)).toHaveLength(4);
  });
});

describe("each problem", () => {
  it.each<[string, Record<string, string | undefined>, RegExp]>([
    ["an answer that is cut short", { end: undefined }, /did not finish/],
    ["a port taken", { tcp: "01BB 0016" }, /ports are taken: 443\/tcp -> .*ss -tulpn/],
    ["a UDP port taken", { udp: "12B5" }, /ports are taken: 4789\/udp/],
    [
      "no Docker",
      { docker: undefined, docker_cli: undefined },
      /Docker is not installed -> install Docker Engine 23\.0\.3 or newer, or 20\.10\.24, with/,
    ],
    [
      "a stopped Docker",
      { docker: undefined, docker_error: "Cannot connect" },
      /does not answer: Cannot connect -> .*systemctl status docker/,
    ],
    [
      "a foreign Swarm",
      { docker: "28.5.0|active|n1|c9|/x" },
      /in another Swarm already \(c9\) -> .*swarm leave/,
    ],
    ["a full disk", { free_mib: "12" }, /only 12 MiB are free where Docker .* \(\/mnt\/docker\), 1024/],
    ["an unknown interface", { mtu: undefined }, /no network interface with a default route/],
    [
      "a data disk with something else",
      { data_state: "TYPE=ext4 LABEL=photos", data_serial: "S1" },
      /not empty \(TYPE=ext4 LABEL=photos\), .* is S1 -> .*set `nodes\.a\.wipeDataDiskSerial` to "S1"/,
    ],
    [
      "a data disk of another stack",
      { data_state: "labelled", data_owner: '{"stack":"p/o","node":"a"}', data_serial: "S1" },
      /holds data of a of stack p\/o, .* is S1 -> .*set `nodes\.a\.adoptDiskSerial` to "S1"/,
    ],
    ["no data disk", { data_state: "missing" }, /there is no data disk \/dev\/sdb/],
    [
      "no further interface",
      { missing_nics: "eno2" },
      /no network interface eno2, which .* `nics` .*`ip link`/,
    ],
  ])("%s", (_name, changes, wanted) => {
    expect(problems(changes)).toEqual([expect.stringMatching(wanted)]);
  });

  it.each([
    [5, [/clock is 5\.0 s ahead of the operator's/]],
    [-5, [/clock is 5\.0 s behind/]],
    [1.5, []],
  ])("a clock that is %d s off", (skew, wanted) => {
    expect(problems({}, "installed", skew)).toEqual(wanted.map((one) => expect.stringMatching(one)));
  });

  const ours = { disk: 'installation {"installHash":"1","stack":"moorage/rack","node":"a"}' };
  const full = { disk: "TYPE=xfs", disk_real: "/dev/sda", disk_serial: "S1" };
  it.each<[string, Record<string, string>, string | undefined, RegExp[]]>([
    ["that is ours", ours, undefined, []],
    [
      "with something else, without a serial number",
      { disk: "TYPE=xfs ", disk_real: "/dev/sda" },
      undefined,
      [
        /disk \/dev\/sda is not empty \(TYPE=xfs\), and is left as it is; it shows no serial number -> .*empty it there by hand/,
      ],
    ],
    ["that is not there", { disk: "missing" }, undefined, [/no disk \/dev\/sda/]],
    [
      "with a data disk on it",
      { ...ours, disk_data: "/dev/sda9 is a data disk (label moorage-data)" },
      undefined,
      [
        /not empty \(a of stack moorage\/rack\), .*; \/dev\/sda9 is a data disk .*never erased -> name another disk/,
      ],
    ],
    [
      "that is the data disk",
      { disk: "blank", disk_real: "/dev/sdb" },
      undefined,
      [/data disk .* is the system/],
    ],
    ["named by its serial number", full, "S1", []],
    [
      "not named",
      full,
      undefined,
      [/number is S1 -> .*set `nodes\.a\.erasableDisk` to "S1", or empty it there by hand \(docs\/metal\.md/],
    ],
    ["named by another number", full, "S2", [/not the one of `nodes\.a\.erasableDisk` \(S2\) ->/]],
    [
      "named, and in use",
      { ...full, disk_kept: "it is mounted there on /mnt" },
      "S1",
      [/it is mounted there on \/mnt, and such a disk is never erased -> name another/],
    ],
  ])("a system disk %s", (_name, changes, erasableDisk, wanted) => {
    const found = problems(changes, "installer", 0, { ...host, erasableDisk });
    expect(found).toEqual(wanted.map((one) => expect.stringMatching(one)));
  });
});

describe("a folder for objects", () => {
  const fine = {
    ...{ folder: "folder 0 0 755 root", folder_mount: "/srv/registry", folder_free_mib: "5000" },
    data_state: undefined,
  };
  const existing = { ...host, disk: undefined, dataDisk: undefined, dataDirectory: "/srv/registry" };
  const denied =
    /\/srv\/registry is of user minio, with mode \d+: MinIO, .* cannot write to it -> .*chown root: /;

  it.each<[string, Record<string, string | undefined>, RegExp[]]>([
    ["that is root's", {}, []],
    ["that root's group may write to", { folder: "folder 1000 0 775 minio" }, []],
    ["that everybody may write to", { folder: "folder 1000 1000 1777 minio" }, []],
    ["on the root file system", { folder_mount: "/" }, []],
    ["that is full of objects", { folder_free_mib: "3", folder_used: "yes" }, []],
    ["that is another user's", { folder: "folder 1000 1000 755 minio" }, [denied]],
    ["that its group alone may write to", { folder: "folder 1000 1000 775 minio" }, [denied]],
    ["that root's group may only read", { folder: "folder 1000 0 757 minio" }, [denied]],
    ["that root may not write to", { folder: "folder 0 0 577 root" }, [/of user root, with mode 577/]],
    ["that is missing", { folder: "missing" }, [/there is no folder \/srv\/registry .* -> make it there/]],
    [
      "that is a file",
      { folder: "other" },
      [/\/srv\/registry is no folder, .* -> correct .*`dataDirectory`/],
    ],
    [
      "that is not mounted",
      { folder: "missing", folder_unmounted: "/srv/registry" },
      [
        /^\/srv\/registry is to be mounted by \/etc\/fstab, and is not: .* -> run `mount \/srv\/registry` there/,
      ],
    ],
    [
      "around which nothing is mounted",
      { folder_unmounted: "/srv" },
      [/^\/srv, in which \/srv\/registry lies, is to/],
    ],
    [
      "of another user, and without room",
      { folder: "folder 1000 1000 755 minio", folder_free_mib: "3" },
      [
        denied,
        /only 3 MiB are free in \/srv\/registry, where objects .*, 1024 are wanted -> free some space/,
      ],
    ],
  ])("%s", (_name, changes, wanted) => {
    expect(problems({ ...fine, ...changes }, "installed", 0, existing)).toEqual(
      wanted.map((one) => expect.stringMatching(one)),
    );
  });

  it("is warned of on the root file system alone", () => {
    const warned = (changes: Record<string, string | undefined>) => {
      const { dataFolder } = parseFacts(output({ ...fine, ...changes }));
      return dataFolder && dataFolderWarning("/srv/registry", dataFolder);
    };
    expect(warned({})).toBeUndefined();
    expect(warned({ folder: "missing", folder_mount: undefined })).toBeUndefined();
    expect(warned({ folder_mount: "/" })).toMatch(
      /^objects are kept in \/srv\/registry, on the root file system: .* was to be mounted there, it is not$/,
    );
  });
});

describe("a host in a Swarm", () => {
  const mark = '{"joining":false,"cluster":"c1","node":"n1"}';

  it.each<[string, string, string, string[], boolean]>([
    ["by its own mark", "c1", mark, [], true],
    ["by its mark, as a worker", "", mark, [], true],
    ["by another host's mark", "c1", "", ["c1"], true],
    ["as it was about to found one", "c1", '{"joining":true}', [], true],
    ["as it was about to join", "c1", '{"joining":true,"cluster":"c1"}', [], true],
    ["as it was about to join, as a worker", "", '{"joining":true,"cluster":"c1"}', [], true],
    ["not, when it was about to join another", "c2", '{"joining":true,"cluster":"c1"}', [], false],
    ["not, in another cluster", "c2", mark, ["c1"], false],
    ["not, with a mark that cannot be read", "", "rubbish", ["c1"], false],
  ])("is ours %s", (_what, clusterId, text, clusters, isOne) => {
    const docker = { version: "28", state: "active", nodeId: "n1", clusterId };
    expect(isOurs(docker, parseMark(text), new Set(clusters))).toBe(isOne);
  });

  it("may use its own ports, and those of its member of etcd after it has left", () => {
    expect(problems({ docker: "28.5.0|active|n1|c1|/x", tcp: "01BB 0949", mark })).toEqual([]);
    const withEtcd = { ...host, ports: [...host.ports, 2379, 2380] };
    const of = (etcd: string) => problems({ tcp: "094B 094C 01BB", etcd }, "installed", 0, withEtcd)[0];
    expect(of("2379 2380")).toMatch(/^these ports are taken: 443\/tcp ->/);
    expect(of("")).toMatch(/^these ports are taken: 443\/tcp, 2379\/tcp, 2380\/tcp ->/);
  });
});

describe("Docker's version", () => {
  const clear =
    /^its Docker is .* takes traffic that is not encrypted -> install 23\.0\.3 or newer, or 20\.10\.24$/;
  const lost = /moby #53141.* Install 29\.8 or newer/;

  it.each<[string, RegExp | undefined, RegExp | undefined]>([
    ["19.03.15", clear, undefined],
    ["20.10.23", clear, undefined],
    // Debian 12, and the lab.
    ["20.10.24+dfsg1", undefined, undefined],
    ["22.06.0-beta.0", clear, undefined],
    ["23.0.2", clear, undefined],
    ["23.0.3", undefined, undefined],
    ["26.1.5+dfsg1", undefined, undefined],
    ["28.5.0", undefined, undefined],
    ["29.0.0-rc.1", undefined, lost],
    ["29.6.2", undefined, lost],
    ["29.7.2", undefined, lost],
    ["29.8.0", undefined, undefined],
  ])("%s", (version, refusal, warning) => {
    const found = problems({ docker: `${version}|inactive|||/var/lib/docker` });
    expect(found).toEqual(refusal === undefined ? [] : [expect.stringMatching(refusal)]);
    expect(dockerVersionWarning(version) ?? "").toMatch(warning ?? /^$/);
  });
});

it.each([
  [100, 0],
  [98, -1],
  [105, 4],
])("a clock that shows %d between 99 and 101 is %d s off", (now, skew) => {
  expect(skewOf({ now }, 99, 101)).toBe(skew);
});

it("all nodes have one MTU", () => {
  expect(mtuProblem({ a: 1500, b: 1500 })).toBeUndefined();
  expect(mtuProblem({ a: 1500, b: 9000 })).toMatch(/differ: a 1500, b 9000/);
});
