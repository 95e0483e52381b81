import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { describe, expect, test } from "vitest";
import { faultList, faultNamed, faultNames, faults, mend, type Fault } from "../../../lab/faults";
import { groupsBelow, processesOf, setIn } from "../../../lab/faults/cgroups";
import { mountsIn, remount } from "../../../lab/faults/dataDisk";
import { canRot, removeInUse } from "../../../lab/faults/files";
import { lossRules } from "../../../lab/faults/packets";
import { describeInstance, hostNamed } from "../../../lab/instance";

const instance = describeInstance(3);
const place = { instance, host: hostNamed(instance, "coreos2") };

test("a folder goes that somebody writes into while it is removed", async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-in-use-"));
  const tmp = path.join(folder, "tmp");
  fs.mkdirSync(tmp);
  for (let name = 0; name < 2000; name += 1) fs.writeFileSync(path.join(tmp, `old-${name}`), "");
  // As MinIO does: it gives up once the folder is gone.
  const line = 'for name in $(seq 100000); do echo > "$1/$name" || exit 0; done';
  const writer = spawn("bash", ["-c", line, "bash", tmp], { stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(writer, "close");
  try {
    while (!fs.existsSync(path.join(tmp, "1"))) await new Promise((resolve) => setTimeout(resolve, 1));
    await removeInUse(folder);
    expect(fs.existsSync(folder)).toBe(false);
  } finally {
    writer.kill();
    await ended;
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

describe("faults of the lab", () => {
  test("are taken back, or say by what", () => {
    for (const name of faultNames) {
      const { end, mendedBy }: Fault = faults[name];
      expect(end !== undefined || mendedBy !== undefined, name).toBe(true);
    }
    expect(faultList().map((line) => line.split(" ")[0])).toEqual(faultNames);
  });

  test("that are unknown, or that the lab cannot take back, are refused with what there is", async () => {
    expect(() => faultNamed("rust")).toThrow(/no fault called "rust": give one of power, kill, /);
    expect(() => faultNamed(undefined)).toThrow(/no fault named: give one of/);
    await expect(mend(place, "corrupt")).rejects.toThrow(/does not take "corrupt" back: MinIO/);
    await expect(faultNamed("kill").begin(place, "java")).rejects.toThrow(
      /no program called "java": give one of minio, /,
    );
    await expect(faultNamed("wipe").begin(place, "mysql")).rejects.toThrow(/nobody called "mysql"/);
  });
});

test("packets are lost at the host's port; a node that is cut off from nodes still reaches clients", () => {
  expect(lossRules(place, "in")).toEqual([["-o", "coreos2"]]);
  expect(lossRules(place, "out")).toEqual([["-i", "coreos2"]]);
  expect(lossRules(place, "both")).toEqual([
    ["-o", "coreos2"],
    ["-i", "coreos2"],
  ]);
  const cut = lossRules(place, "nodes").map((rule) => rule.join(" "));
  expect(cut).toHaveLength(6);
  expect(cut).toContain("-i coreos2 -o coreos4");
  expect(cut).toContain("-i coreos4 -o coreos2");
  expect(cut.join(" ")).not.toContain("client");
});

test("the mounts of a device are found by its number", () => {
  const mountinfo = [
    "22 1 0:20 / / rw - overlay overlay rw",
    "30 22 7:3 / /var/lib/moorage/data rw,relatime - xfs /dev/loop3 rw",
    "31 22 7:31 / /other rw - xfs /dev/loop31 rw",
    "40 22 7:3 /minio /with\\040blank rw,relatime - xfs /dev/loop3 rw",
    "41 40 7:3 /minio /with\\040blank ro,relatime - xfs /dev/loop3 rw",
  ].join("\n");
  expect(mountsIn(mountinfo, "7:3")).toEqual([
    { root: "/", target: "/var/lib/moorage/data", readOnly: false },
    { root: "/minio", target: "/with blank", readOnly: true },
  ]);
});

describe("a mount that is to be read-only", () => {
  const mount = { root: "/minio", target: "/data", readOnly: false };
  const busy = {
    util: "mount: /data: mount point is busy.",
    box: "mounting x on /data failed: Resource busy",
  };

  /** What each of two programs says, one try after the other; after those it succeeds. */
  function programs(...tries: (typeof busy)[]) {
    const said: string[] = [];
    const inPlace = (args: readonly string[]) => {
      said.push(args.join(" "));
      const now = tries[Math.floor((said.length - 1) / 2)];
      const output = args[0] === "busybox" ? now?.box : now?.util;
      return Promise.resolve({
        code: now ? 1 : 0,
        stdout: "",
        stderr: "",
        output: output ?? "",
        timedOut: false,
      });
    };
    return { said, inPlace };
  }

  test("is tried again while a file is open for writing", async () => {
    const { said, inPlace } = programs(busy, busy);
    await remount(mount, "ro", inPlace);
    const command = "mount -o remount,bind,ro /data";
    expect(said).toEqual([command, `busybox ${command}`, command, `busybox ${command}`, command]);
  });

  test("and stays busy is none, unless it is etcd's", async () => {
    const always = () => programs(...Array<typeof busy>(99).fill(busy)).inPlace;
    await expect(remount(mount, "ro", always(), 1)).rejects.toThrow(
      "/data cannot be remounted ro: mount: /data: mount point is busy. / mounting x on /data failed: Resource busy",
    );
    await remount({ ...mount, root: "/etcd" }, "ro", always(), 1);
  });

  test("where no program mounts anything, is told as that", async () => {
    const none = "nsenter: failed to execute mount: No such file or directory";
    const other = "nsenter: failed to execute busybox: No such file or directory";
    const { inPlace } = programs(...Array<typeof busy>(99).fill({ util: none, box: other }));
    await expect(remount({ ...mount, root: "/etcd" }, "ro", inPlace, 1)).rejects.toThrow(/ mount: No such /);
  });
});

test("processes of a cgroup are those of all groups below it", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  try {
    fs.mkdirSync(path.join(folder, "docker", "abc"), { recursive: true });
    fs.writeFileSync(path.join(folder, "cgroup.procs"), "0\n12\n");
    fs.writeFileSync(path.join(folder, "docker", "abc", "cgroup.procs"), "34\n");
    expect(groupsBelow(folder)).toHaveLength(3);
    expect(processesOf(folder)).toEqual([12, 34]);
    expect(groupsBelow(path.join(folder, "gone"))).toEqual([]);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("a setting of a group that is gone is none; one that the machine does not know is said", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-test-"));
  try {
    expect(() => setIn(path.join(folder, "gone"), "io.max", "7:3 rbps=max")).not.toThrow();
    // A folder in place of a file cannot be made by writing either.
    expect(() => setIn(folder, "missing/io.max", "7:3 rbps=max")).toThrow(/kernel has no missing\/io\.max/);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test("of MinIO's own files those rot that it reads while it runs, and not what makes the drive its own", () => {
  const drive = "/proc/1/root/var/lib/moorage/data/minio";
  const rot = ["registry/a/xl.meta", ".minio.sys/config/iam/users/u/identity.json/xl.meta"];
  const own = [".minio.sys/format.json", ".minio.sys/tmp/x/part.1", ".minio.sys/multipart/x/xl.meta"];
  const all = [...rot, ".minio.sys/buckets/registry/.metadata.bin/xl.meta", ...own];
  expect(all.filter((file) => canRot(`${drive}/${file}`))).toEqual(all.slice(0, 3));
});
