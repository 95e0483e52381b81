import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SystemImage } from "../../../hosts/src/contract";
import { imageFault } from "../../../hosts/src/installation/image";
import { until } from "../../support/waiting";
import { Machine, failing } from "./support/machine";
import { canSandbox } from "./support/sandbox";
import { logged, temporaryFolder } from "./support/stop";

/** An image's file, several windows of an SSH channel long. */
function imageFile() {
  const content = randomBytes(3_000_000);
  const path = join(temporaryFolder(), "flatcar_production_image.bin.bz2");
  writeFileSync(path, content);
  const sum = (algorithm: string) => createHash(algorithm).update(content).digest("hex");
  return { path, sha512: sum("sha512"), sha256: sum("sha256") };
}

async function withImage() {
  const { path, sha512 } = imageFile();
  const image: SystemImage = { path, sha512 };
  const machine = await Machine.start({ image });
  const summing = 'sha512sum /var/tmp/moorage/image.bz2 > "$FAKE/installer.image"; exit 1';
  machine.live.tool("flatcar-install", failing.replace("exit 1", summing));
  return { image, machine, ...machine };
}

/** No installer was started, and no disk is claimed. */
const untouched = ({ live }: Machine) => {
  expect(live.read("installer.args")).toBeUndefined();
  expect(existsSync(live.at("run/moorage/install/disk"))).toBe(false);
};

describe.skipIf(!canSandbox)("an installation from an image's file", () => {
  it("sends it once, checks it, and gives it to the installer", async () => {
    const { image, installation, inputs, live } = await withImage();
    live.write("var/tmp/moorage/image.bz2", "half of another one");
    const sent = `swarm-1: sending the image ${image.path} (3 MiB)`;
    for (let run = 0; run < 2; run += 1) {
      await expect(installation.create(inputs)).rejects.toThrow("failed (exit code 1)");
      expect(live.read("installer.args")).toBe(
        "-d /dev/disk/by-id/system -i /run/moorage/install/user-data.ign -f /var/tmp/moorage/image.bz2\n",
      );
      expect(live.read("installer.image")?.split(" ")[0]).toBe(image.sha512);
      expect(logged.filter((line) => line === sent)).toHaveLength(1);
    }
    expect(logged).toContain(`swarm-1: has the image ${image.path} already`);
  });

  it.each([
    [
      "arrives as another one",
      "mv",
      '#!/bin/sh\necho spoilt >> "$2"; exec /bin/mv "$@"\n',
      /^swarm-1: the image arrived as another one: sha512 [0-9a-f]{128}, wanted [0-9a-f]{128}\. The disk was not touched/,
    ],
    [
      "does not fit into the live system",
      "df",
      "#!/bin/sh\necho Filesystem; echo tmpfs 9 9 2048 9 /\n",
      /needs 3 MiB in \/var\/tmp\/moorage of the live system, where 2 are free\. .* give the machine more/,
    ],
  ])("leaves the disk alone if it %s", async (_what, name, text, message) => {
    const { machine, installation, inputs, live } = await withImage();
    live.tool(name, text);
    await expect(installation.create(inputs)).rejects.toThrow(message);
    untouched(machine);
  });

  it("leaves the disk alone if the connection is lost meanwhile, and sends it again in the next run", async () => {
    const { machine, installation, inputs, live } = await withImage();
    // Half of it arrives, then nothing more is read; without a connection the input ends.
    const usual = live.read("bin/cat") ?? "";
    const half = '"") head -c 1000000; touch "$FAKE/half"; while read -r line; do :; done ;; *) exec';
    live.tool("cat", usual.replace("*) exec", half));
    const first = installation.create(inputs).catch(String);
    await until("half of the image", () => expect(existsSync(live.at("half"))).toBe(true), { everyMs: 20 });
    live.server.cut();
    expect(await first).toMatch(/swarm-1: the connection was lost during: sending the image/);
    untouched(machine);
    const left = () => expect(readdirSync(live.at("var/tmp/moorage"))).toEqual([]);
    await until("the end of the half image", left, { everyMs: 20 });
    live.tool("cat", usual);
    await expect(installation.create(inputs)).rejects.toThrow("failed (exit code 1)");
    expect(live.read("installer.args")).toMatch(/-f \/var\/tmp\/moorage\/image\.bz2\n$/);
  });
});

it("an image's file is checked by its checksum, again when it has changed", async () => {
  const { path, sha512, sha256 } = imageFile();
  expect(await imageFault({ path, sha512 })).toBeUndefined();
  expect(await imageFault({ path, sha256 })).toBeUndefined();
  expect(await imageFault({ path, sha256: "0".repeat(64) })).toMatch(
    /has another checksum: sha256 [0-9a-f]{64}, wanted 0+\. Fetch it anew, or correct `os\.image`$/,
  );
  expect(await imageFault({ path: "/none/there.bin", sha512 })).toMatch(
    /^the image \/none\/there\.bin cannot be read: ENOENT.* Put it there, or correct `os\.image\.path`$/,
  );
  writeFileSync(path, "something shorter");
  expect(await imageFault({ path, sha512 })).toMatch(/has another checksum/);
});
