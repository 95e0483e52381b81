import { createHash, randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import type { SystemImage } from "../../../hosts/src/contract";
import { installation } from "../../../hosts/src/installation";
import { imageFault } from "../../../hosts/src/installation/image";
import { Machine, failing } from "./support/machine";
import { canSandbox } from "./support/sandbox";
import { logged, temporaryFolder } from "./support/stop";

const sum = (algorithm: string, content: Buffer) => createHash(algorithm).update(content).digest("hex");

/** An image's file, several windows of an SSH channel long. */
function imageFile(name = "flatcar_production_image.bin.bz2", content = randomBytes(5_000_000)) {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return { content, image: { path, sha512: sum("sha512", content) } satisfies SystemImage };
}

describe.skipIf(!canSandbox)("an installation from an image's file", () => {
  it("sends it, checks it there, and hands it to flatcar-install alone", async () => {
    const { image } = imageFile();
    const machine = await Machine.start({ image });
    const summing = 'sha512sum /var/tmp/moorage/image.bz2 > "$FAKE/installer.image"; exit 1';
    machine.live.tool("flatcar-install", failing.replace("exit 1", summing));
    await expect(installation.create(machine.inputs)).rejects.toThrow("failed (exit code 1)");
    expect(machine.live.read("installer.args")).toBe(
      "-d /dev/disk/by-id/system -i /run/moorage/install/user-data.ign -f /var/tmp/moorage/image.bz2\n",
    );
    expect(machine.live.read("installer.image")?.split(" ")[0]).toBe(image.sha512);
    expect(logged).toContain(`swarm-1: sending the image ${image.path} (5 MiB)`);
  }, 40_000);

  it("hands it to coreos-installer, which is told that its signature is not asked for", async () => {
    const { content, image } = imageFile("fedora-coreos.raw.xz");
    const machine = await Machine.start({ image: { path: image.path, sha256: sum("sha256", content) } });
    unlinkSync(machine.live.at("bin/flatcar-install"));
    machine.live.tool("coreos-installer", failing);
    await expect(installation.create(machine.inputs)).rejects.toThrow("failed (exit code 1)");
    expect(machine.live.read("installer.args")).toBe(
      "install --ignition-file /run/moorage/install/user-data.ign --image-file /var/tmp/moorage/image.xz --insecure /dev/disk/by-id/system\n",
    );
  }, 40_000);

  it("does not send what an earlier run has brought there", async () => {
    const { content, image } = imageFile();
    const machine = await Machine.start({ image });
    mkdirSync(machine.live.at("var/tmp/moorage"));
    machine.live.write("var/tmp/moorage/image.bz2", "half of another one");
    machine.live.tool("flatcar-install", failing);
    await expect(installation.create(machine.inputs)).rejects.toThrow("failed (exit code 1)");
    expect(logged.filter((line) => line.includes("sending the image"))).toHaveLength(1);
    await expect(installation.create(machine.inputs)).rejects.toThrow("failed (exit code 1)");
    expect(logged.filter((line) => line.includes("sending the image"))).toHaveLength(1);
    expect(logged).toContain(`swarm-1: has the image ${image.path} already`);
    expect(content).toHaveLength(5_000_000);
  }, 40_000);

  /** Whatever is wrong with the image, the disk is as it was: no installer was started, and nothing is claimed. */
  const untouched = (machine: Machine) => {
    expect(machine.live.read("installer.args")).toBeUndefined();
    expect(existsSync(machine.live.at("run/moorage/install/disk"))).toBe(false);
  };

  it("leaves the disk alone where the image arrives as another one", async () => {
    const { image } = imageFile();
    const machine = await Machine.start({ image });
    machine.live.tool("mv", '#!/bin/sh\necho spoilt >> "$2"; exec /bin/mv "$@"\n');
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /^swarm-1: the image arrived as another one: sha512 [0-9a-f]{128}, wanted [0-9a-f]{128}\. The disk was not touched/,
    );
    untouched(machine);
  }, 40_000);

  it("leaves the disk alone where the live system has no room for it", async () => {
    const { image } = imageFile();
    const machine = await Machine.start({ image });
    machine.live.tool("df", "#!/bin/sh\necho Filesystem; echo tmpfs 9 9 2048 9 /\n");
    await expect(installation.create(machine.inputs)).rejects.toThrow(
      /needs 5 MiB in \/var\/tmp\/moorage of the live system, where 2 are free\. .* give the machine more/,
    );
    untouched(machine);
  }, 40_000);

  it("leaves the disk alone where the connection is lost while it is sent, and goes on in the next run", async () => {
    const { image } = imageFile();
    const machine = await Machine.start({ image });
    // Half of it arrives, then nothing more is taken; without a connection its input ends.
    const whole = machine.live.read("bin/cat") ?? "";
    const half = '"") head -c 2000000; touch "$FAKE/half"; while read -r line; do :; done ;; *) exec';
    machine.live.tool("cat", whole.replace("*) exec", half));
    const first = installation
      .create({ ...machine.inputs, timeoutSeconds: 20 })
      .catch((error: Error) => error);
    while (!existsSync(machine.live.at("half"))) await new Promise((done) => setTimeout(done, 50));
    machine.live.server.cut();
    expect(String(await first)).toMatch(/swarm-1: the connection was lost during: sending the image/);
    untouched(machine);
    // What was on its way is still taken.
    await vi.waitFor(() => expect(readdirSync(machine.live.at("var/tmp/moorage"))).toEqual([]), 20_000);
    machine.live.tool("cat", whole);
    machine.live.tool("flatcar-install", failing);
    await expect(installation.create(machine.inputs)).rejects.toThrow("failed (exit code 1)");
    expect(machine.live.read("installer.args")).toMatch(/-f \/var\/tmp\/moorage\/image\.bz2\n$/);
  }, 60_000);
});

describe("an image's file", () => {
  it("that is the one of its checksum is right", async () => {
    expect(await imageFault(imageFile().image)).toBeUndefined();
  });

  it("that is another one, or is not there, is told with what to do", async () => {
    const { image } = imageFile();
    expect(await imageFault({ path: image.path, sha256: "0".repeat(64) })).toMatch(
      /has another checksum: sha256 [0-9a-f]{64}, wanted 0+\. Fetch it anew, or correct `os\.image`$/,
    );
    expect(await imageFault({ ...image, path: "/none/there.bin" })).toMatch(
      /^the image \/none\/there\.bin cannot be read: ENOENT.* Put it there, or correct `os\.image\.path`$/,
    );
  });

  it("is read again when it has changed", async () => {
    const { image } = imageFile();
    expect(await imageFault(image)).toBeUndefined();
    writeFileSync(image.path, "something shorter");
    expect(await imageFault(image)).toMatch(/has another checksum/);
    chmodSync(image.path, 0o600);
  });
});
