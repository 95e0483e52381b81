import { execFileSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataDisk } from "../../../hosts/src/data-disk";
import { exec } from "../../../hosts/src/ssh/exec";
import { Sandbox, canSandbox } from "./support/sandbox";
import { afterwards, temporaryFolder } from "./support/stop";

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { stdio: ["ignore", "pipe", "ignore"] })
    .toString()
    .trim();
}

/** A blank disk of its own, as a loop device; undefined where there are none. */
function loopDisk(): string | undefined {
  const file = join(temporaryFolder(), "disk");
  writeFileSync(file, "");
  truncateSync(file, 400 * 1024 * 1024);
  try {
    const device = run("losetup", "--show", "-f", file);
    afterwards(() => run("losetup", "-d", device));
    return device;
  } catch {
    return undefined;
  }
}

const possible =
  canSandbox && ["losetup", "blkid"].every((tool) => run("sh", "-c", `command -v ${tool} || :`) !== "");

/** Starts and stops the one unit at hand as systemd would. */
const systemctl = `#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE/systemctl.log"
unit=/etc/systemd/system/moorage-data.service
case "$*" in
  "start moorage-data.service") eval "$(sed -n 's/^ExecStart=//p' $unit)" ;;
  "stop moorage-data.service"|"disable --now moorage-data.service")
    sh -c "$(sed -n "s/^ExecStop=.bin.sh -c '\\(.*\\)'/\\1/p" $unit)" || : ;;
  "cat moorage-data.service") [ -e $unit ] ;;
esac
`;

let serial = 0;

async function start(
  tools: Record<string, string> = {},
  over: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
) {
  const device = loopDisk();
  const sandbox = await Sandbox.start({ systemctl, ...tools }, {}, over);
  const mountPoint = join(temporaryFolder(), "data");
  // The folder behind the mount is made immutable.
  afterwards(() => run("sh", "-c", `chattr -i ${mountPoint} 2>/dev/null || :`));
  const inputs = {
    connection: sandbox.server.connection(),
    device: device ?? "",
    label: `t${(serial += 1)}-${process.pid}`.slice(0, 12),
    mountPoint,
    directories: ["minio"],
  };
  return { device, sandbox, inputs };
}

describe.skipIf(!possible)("a data disk", () => {
  it("is formatted when blank, mounted by label, and mounted again when it is not", async ({ skip }) => {
    const { device, sandbox, inputs } = await start();
    if (device === undefined) return skip();
    const { id, outs } = await dataDisk.create(inputs);
    expect(run("blkid", "-p", "-s", "LABEL", "-o", "value", device)).toBe(inputs.label);
    const unit = sandbox.read("etc/systemd/system/moorage-data.service");
    expect(unit).toContain("Before=docker.service");
    // On Fedora CoreOS that is a mount of its own, which comes after local-fs-pre.target.
    expect(unit).toContain(`RequiresMountsFor=${dirname(inputs.mountPoint)}\n`);
    expect((await dataDisk.read(id, outs))?.outs).toEqual(outs);
    const wanted = { ...outs, directories: ["minio", "lost"] };
    expect((await dataDisk.read(id, wanted))?.outs).toMatchObject({ directories: ["minio"] });

    // Created once more, it finds its work done.
    await dataDisk.create(inputs);
    const again = await dataDisk.update(id, { ...outs, mountPoint: "" }, inputs);
    expect(again).toEqual(outs);

    await dataDisk.delete(id, outs);
    const gone = await dataDisk.read(id, outs);
    expect(gone?.outs).toMatchObject({ label: inputs.label, mountPoint: "" });
    expect(run("blkid", "-p", "-s", "LABEL", "-o", "value", device)).toBe(inputs.label);
  });

  it("is never touched when it holds something else", async ({ skip }) => {
    const { device, inputs } = await start();
    if (device === undefined) return skip();
    run("mkfs.ext4", "-q", "-L", "photos", device);
    await expect(dataDisk.create(inputs)).rejects.toThrow(
      /neither blank nor ours: .*LABEL=photos.*It is left as it is/,
    );
    expect(run("blkid", "-p", "-s", "LABEL", "-o", "value", device)).toBe("photos");
  });

  it("that is not there is named", async () => {
    const { inputs } = await start();
    await expect(dataDisk.create({ ...inputs, device: "/dev/disk/by-id/none" })).rejects.toThrow(
      /swarm-1: there is no data disk \/dev\/disk\/by-id\/none, and no disk with the label/,
    );
  });
});

/** Labels of files, as a list: in the order in which they were given, by path. */
const labelling = {
  chcon: '#!/bin/sh\nshift; label=$1; shift\nfor each do echo "$each $label" >> "$FAKE/labels"; done\n',
  restorecon: '#!/bin/sh\necho "$1 by its path" >> "$FAKE/labels"\n',
  stat: '#!/bin/sh\n[ "$1 $2" = "-c %C" ] || exec /usr/bin/stat "$@"\nsed -n "s,^$3 ,,p" "$FAKE/labels" | tail -n 1\n',
};
const label = "system_u:object_r:container_file_t:s0";
const contexts = `process = "system_u:system_r:container_t:s0"\nfile = "${label}"\nro_file="system_u:object_r:ro:s0"\n`;
const selinux = (enforce: string) => ({ "/sys/fs": { "selinux/enforce": enforce } });

describe.skipIf(!possible)("a data disk where SELinux is", () => {
  it("enforced has the folders of containers with their label, whatever was on it", async ({ skip }) => {
    const { device, sandbox, inputs } = await start(labelling, selinux("1"));
    if (device === undefined) return skip();
    sandbox.write("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    sandbox.write("etc/selinux/targeted/contexts/lxc_contexts", contexts);
    const labels = () => (sandbox.read("labels") ?? "").replaceAll(inputs.mountPoint, "");
    await dataDisk.create(inputs);
    expect(labels()).toContain(`/minio ${label}\n`);
    expect(labels()).toContain(" by its path\n");

    // Written by a system that knew no labels.
    await exec(inputs.connection, [
      "sh",
      "-c",
      `mkdir ${inputs.mountPoint}/minio/b; echo > ${inputs.mountPoint}/minio/b/x`,
    ]);
    sandbox.remove("labels");
    await dataDisk.create(inputs);
    const given = [`/minio/b/x ${label}`, `/minio/b ${label}`, `/minio ${label}`];
    expect(
      labels()
        .split("\n")
        .filter((line) => line.endsWith(label)),
    ).toEqual(given);

    // Once it has them, nothing is gone through again.
    await dataDisk.create(inputs);
    expect(
      labels()
        .split("\n")
        .filter((line) => line.endsWith(label)),
    ).toEqual(given);
    const unit = sandbox.read("etc/systemd/system/moorage-data.service");
    expect(unit).toContain(`/mount-data ${device} ${inputs.label} ${inputs.mountPoint} minio\n`);
  });

  it.each(["permissive", "off"])("%s is left as it is", async (state) => {
    const { device, sandbox, inputs } = await start(labelling, state === "off" ? {} : selinux("0"));
    if (device === undefined) return;
    await dataDisk.create(inputs);
    expect(sandbox.read("labels")).toBeUndefined();
  });
});
