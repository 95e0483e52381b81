import { describe, expect, it } from "vitest";
import type { PreflightHost, PreflightInputs } from "../../../hosts/src/contract";
import { skewOf } from "../../../hosts/src/preflight";
import { dataFolderWarning } from "../../../hosts/src/preflight/data-folder";
import {
  isOurs,
  mtuProblem,
  olderThan,
  parseFacts,
  parseMark,
  problemsOf,
} from "../../../hosts/src/preflight/parse";
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
  minimumDocker: "20.10",
  maximumClockSkew: 2,
  timeoutSeconds: 60,
};

const healthy = {
  now: "1700000000.25",
  root: "0",
  interface: "eth0",
  mtu: "1500",
  data: "blank",
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
  clusters: string[] = [],
) {
  const looked = { stage, facts: parseFacts(output(changes)), skew };
  return problemsOf(host, looked, inputs, new Set(clusters)).map(
    ({ what, advice }) => `${what} -> ${advice}`,
  );
}

describe("a host's answer", () => {
  it("is read whole", () => {
    const facts = parseFacts(output({ disk: "blank", disk_real: "/dev/sda" }));
    expect(facts).toMatchObject({
      now: 1700000000.25,
      interface: "eth0",
      mtu: 1500,
      disk: "blank",
      docker: { version: "28.5.0", state: "inactive", nodeId: "", clusterId: "" },
      freeMiB: 20000,
      complete: true,
    });
    expect([...facts.tcp]).toEqual([22, 5432]);
  });

  it("that is cut short is a problem of its own", () => {
    expect(problems({ end: undefined })[0]).toMatch(/did not finish/);
  });

  it("of a healthy host holds no problem", () => {
    expect(problems({})).toEqual([]);
    expect(problems({ disk: "blank" }, "installer")).toEqual([]);
  });
});

describe("each thing in the way", () => {
  it.each<[string, Record<string, string | undefined>, RegExp]>([
    ["a port taken", { tcp: "01BB 0016" }, /ports are taken: 443\/tcp -> .*ss -tulpn/],
    ["a UDP port taken", { udp: "12B5" }, /ports are taken: 4789\/udp/],
    ["an old Docker", { docker: "19.03.1|inactive|||/x" }, /its Docker is 19\.03\.1 -> install 20\.10/],
    ["no Docker", { docker: undefined, docker_cli: undefined }, /Docker is not installed/],
    [
      "a stopped Docker",
      { docker: undefined, docker_error: "Cannot connect" },
      /does not answer: Cannot connect -> .*systemctl status docker/,
    ],
    [
      "a foreign Swarm",
      { docker: "28.5.0|active|n1|c9|/x" },
      /in another Swarm already \(c9\) -> .*swarm leave --force/,
    ],
    [
      "a full disk",
      { free_mib: "12" },
      /only 12 MiB are free where Docker keeps its data \(\/mnt\/docker\), 1024/,
    ],
    ["an unknown interface", { mtu: undefined }, /no network interface with a default route/],
    [
      "a data disk with something else",
      { data: "TYPE=ext4 LABEL=photos" },
      /neither blank nor ours \(TYPE=ext4 LABEL=photos\) -> .*wipefs -a \/dev\/sdb/,
    ],
    ["no data disk", { data: "missing" }, /there is no data disk \/dev\/sdb/],
  ])("%s", (_name, changes, wanted) => {
    expect(problems(changes)).toEqual([expect.stringMatching(wanted)]);
  });

  it("a clock that is off", () => {
    expect(problems({}, "installed", 5)).toEqual([
      expect.stringMatching(/clock is 5\.0 s ahead of the operator's/),
    ]);
    expect(problems({}, "installed", -5)).toEqual([expect.stringMatching(/clock is 5\.0 s behind/)]);
    expect(problems({}, "installed", 1.5)).toEqual([]);
  });

  it("a system disk on the installer", () => {
    expect(problems({ disk: "TYPE=xfs ", disk_real: "/dev/sda" }, "installer")).toEqual([
      expect.stringMatching(
        /disk \/dev\/sda is not empty \(TYPE=xfs\), and is left as it is; it shows no serial number -> .*wipefs/,
      ),
    ]);
    expect(problems({ disk: "missing" }, "installer")).toEqual([expect.stringMatching(/no disk \/dev\/sda/)]);
    const ours = { disk: 'installation {"installHash":"1","stack":"moorage/rack","node":"a"}' };
    expect(problems(ours, "installer")).toEqual([]);
    expect(
      problems({ ...ours, disk_data: "/dev/sda9 is a data disk (label moorage-data)" }, "installer"),
    ).toEqual([
      expect.stringMatching(
        /disk \/dev\/sda is not empty \(a of stack moorage\/rack\), .*; \/dev\/sda9 is a data disk .*never erased -> name another disk/,
      ),
    ]);
    expect(problems({ disk: "blank", disk_real: "/dev/sdb" }, "installer")).toEqual([
      expect.stringMatching(/data disk .* is the system disk/),
    ]);
  });

  it("a system disk that may be erased only when its serial number is named", () => {
    const facts = { disk: "TYPE=xfs", disk_real: "/dev/sda", disk_serial: "S1" };
    const of = (erasableDisk?: string, more: object = {}) =>
      problemsOf(
        { ...host, erasableDisk },
        { stage: "installer", facts: parseFacts(output({ ...facts, ...more })), skew: 0 },
        inputs,
        new Set(),
      ).map(({ what, advice }) => `${what} -> ${advice}`);
    expect(of("S1")).toEqual([]);
    expect(of()).toEqual([
      expect.stringMatching(/serial number is S1 -> .*set `nodes\.a\.erasableDisk` to "S1", or run `wipefs/),
    ]);
    expect(of("S2")).toEqual([expect.stringMatching(/not the one of `erasableDisk` \(S2\) ->/)]);
    expect(of("S1", { disk_kept: "it is mounted there on /mnt" })).toEqual([
      expect.stringMatching(/it is mounted there on \/mnt, and such a disk is never erased -> name another/),
    ]);
  });

  describe("a folder for objects", () => {
    const fine = {
      folder: "folder 0 0 755 root",
      folder_mount: "/srv/registry",
      folder_free_mib: "5000",
      data: undefined,
    };
    const existing = { ...host, disk: undefined, dataDisk: undefined, dataDirectory: "/srv/registry" };
    const of = (changes: Record<string, string | undefined>) => {
      const facts = parseFacts(output({ ...fine, ...changes }));
      return problemsOf(existing, { stage: "installed", facts, skew: 0 }, inputs, new Set()).map(
        ({ what, advice }) => `${what} -> ${advice}`,
      );
    };
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
        "without room",
        { folder_free_mib: "3" },
        [/only 3 MiB are free in \/srv\/registry, where objects .*, 1024 are wanted -> free some space/],
      ],
      [
        "that is another user's, and without room",
        { folder: "folder 1000 1000 755 minio", folder_free_mib: "3" },
        [denied, /only 3 MiB/],
      ],
    ])("%s", (_name, changes, wanted) => {
      expect(of(changes)).toEqual(wanted.map((one) => expect.stringMatching(one)));
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

  it("a further network interface that is not there", () => {
    expect(problems({ missing_nics: "eno2 08:00:27:aa:bb:02" })).toEqual([
      expect.stringMatching(/there is no network interface eno2, which .* `nics` names -> .*`ip link`/),
      expect.stringMatching(/there is no network interface 08:00:27:aa:bb:02,/),
    ]);
  });

  it("all at once", () => {
    expect(
      problems({ tcp: "01BB", docker: "19.03|inactive|||", free_mib: "1" }, "installed", 60),
    ).toHaveLength(4);
  });
});

describe("a host in a Swarm", () => {
  const docker = (nodeId: string, clusterId: string) => ({
    version: "28",
    state: "active",
    nodeId,
    clusterId,
  });
  it("is ours by its mark, by another host's mark, or because it was about to join", () => {
    expect(
      isOurs(docker("n1", "c1"), parseMark('{"joining":false,"cluster":"c1","node":"n1"}'), new Set()),
    ).toBe(true);
    expect(isOurs(docker("n1", ""), parseMark('{"cluster":"c1","node":"n1"}'), new Set())).toBe(true);
    expect(isOurs(docker("n1", "c1"), parseMark(""), new Set(["c1"]))).toBe(true);
    expect(isOurs(docker("n1", "c1"), parseMark('{"joining":true}'), new Set())).toBe(true);
    expect(isOurs(docker("n1", "c2"), parseMark('{"cluster":"c1","node":"n1"}'), new Set(["c1"]))).toBe(
      false,
    );
    expect(isOurs(docker("n1", ""), parseMark("rubbish"), new Set(["c1"]))).toBe(false);
  });

  it("that it has left has its own member of etcd still, whose ports are not another's", () => {
    const taken = { tcp: "094B 094C 01BB", etcd: "2379 2380" };
    const of = (etcd: string) =>
      problemsOf(
        { ...host, ports: [...host.ports, 2379, 2380] },
        { stage: "installed", facts: parseFacts(output({ ...taken, etcd })), skew: 0 },
        inputs,
        new Set(),
      ).map(({ what }) => what);
    expect(of("2379 2380")).toEqual(["these ports are taken: 443/tcp"]);
    expect(of("")).toEqual(["these ports are taken: 443/tcp, 2379/tcp, 2380/tcp"]);
  });

  it("keeps its ports when it is ours", () => {
    const mark = '{"joining":false,"cluster":"c1","node":"n1"}';
    expect(problems({ docker: "28.5.0|active|n1|c1|/x", tcp: "01BB 0949", mark })).toEqual([]);
  });
});

describe("small judgements", () => {
  it("compares versions by number", () => {
    expect(olderThan("20.9.9", "20.10")).toBe(true);
    expect(olderThan("20.10.24+dfsg1", "20.10")).toBe(false);
    expect(olderThan("28.0.0-rc.1", "20.10")).toBe(false);
  });

  it("reads a clock only as far as the asking allows", () => {
    expect(skewOf({ now: 100 }, 99, 101)).toBe(0);
    expect(skewOf({ now: 98 }, 99, 101)).toBe(-1);
    expect(skewOf({ now: 105 }, 99, 101)).toBe(4);
  });

  it("wants one MTU", () => {
    expect(mtuProblem({ a: 1500, b: 1500 })).toBeUndefined();
    expect(mtuProblem({ a: 1500, b: 9000 })).toMatch(/differ: a 1500, b 9000/);
  });
});
