import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureCloudinit } from "../../../toolchain/cloudinit";
import { PINS, World } from "./world";

const name = "coreos-cloudinit-linux-amd64.tar.gz";
let world: World;
beforeEach(() => void (world = new World()));
afterEach(() => world.remove());

/** The folder beside the checkout, with an archive of a pretend program, and its sum pinned. */
function archive(program = "coreos-cloudinit"): string {
  const folder = path.join(world.checkout, "../shared/toolchain");
  fs.mkdirSync(folder, { recursive: true });
  world.script(path.join(world.root, "made", program), "echo pretend");
  const file = path.join(folder, name);
  execFileSync("tar", ["-czf", file, "-C", path.join(world.root, "made"), program]);
  const sum = createHash("sha256").update(fs.readFileSync(file)).digest("hex");
  fs.writeFileSync(path.join(folder, "SHA256SUMS"), `${sum}  ${name}\n`);
  world.pins = { ...PINS, archives: { [name]: sum } };
  return file;
}

describe("coreos-cloudinit", () => {
  it("is unpacked from the folder of archives, once", () => {
    const file = archive();
    const found = ensureCloudinit(world.setting);
    expect(found).toEqual({
      bin: expect.stringMatching(/cache\/tools\/coreos-cloudinit-[0-9a-f]{12}\/coreos-cloudinit$/),
    });
    const bin = "bin" in found ? found.bin : "";
    expect(execFileSync(bin, { encoding: "utf8" })).toBe("pretend\n");
    const made = fs.statSync(bin).mtimeMs;
    expect(ensureCloudinit(world.setting)).toEqual(found);
    expect(fs.statSync(bin).mtimeMs).toBe(made);
    expect(fs.existsSync(file)).toBe(true);
  });

  it("is said to be missing where there is no folder, or nothing of it in the folder", () => {
    expect(ensureCloudinit(world.setting)).toEqual({ missing: expect.stringContaining("MOORAGE_PLUGINS") });
    world.env.MOORAGE_PLUGINS = world.home;
    expect(ensureCloudinit(world.setting)).toEqual({ missing: `${world.home} has no ${name}` });
  });

  it("is not used with another sum than the pinned one, nor when the archive holds something else", () => {
    fs.appendFileSync(archive(), "more");
    expect(() => ensureCloudinit(world.setting)).toThrow("is not used: its SHA-256 sum is");
    archive("another");
    expect(() => ensureCloudinit(world.setting)).toThrow("holds no coreos-cloudinit");
  });
});
