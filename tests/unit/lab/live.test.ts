import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { configDriveOf } from "@moorage/hosts";
import { afterAll, describe, expect, test } from "vitest";
import { layIgnition, toldLayer } from "../../../lab/live";
import { cloudinitFor } from "../../support/validators";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-lab-live-"));
afterAll(() => fs.rmSync(folder, { recursive: true }));

function imageOf(name: string, content: Buffer): string {
  const image = path.join(folder, name);
  fs.writeFileSync(image, content);
  return image;
}

describe("what a machine's live installer boots with", () => {
  test("is a config drive that is there as it is, with what reads it, and nothing of the lab's", (context) => {
    const program = cloudinitFor(context);
    const text = "#cloud-config\nhostname: coreos1\n";
    const layer = toldLayer({ by: "config-drive", image: imageOf("drive.iso", configDriveOf(text)) });
    const unit = "usr/lib/systemd/system/user-configdrive.service";
    expect(layer).toMatchObject({
      "usr/bin/coreos-cloudinit": { content: { of: program }, mode: 0o755 },
      "media/configdrive/openstack/latest/user_data": { content: text, mode: 0o600 },
      [unit]: { content: expect.stringContaining("--from-configdrive=/media/configdrive\n") as string },
      "etc/systemd/system/multi-user.target.wants/user-configdrive.service": { target: `/${unit}` },
    });
    expect(Object.keys(layer)).toHaveLength(4);
  });

  test("is refused where it is no config drive", () => {
    const image = imageOf("other.iso", Buffer.alloc(40 * 2048));
    expect(() => toldLayer({ by: "config-drive", image })).toThrow(`${image} is no config drive`);
  });

  test("is Ignition for supervisor.sh, which a later boot without it does not find", () => {
    const told = { by: "ignition", text: "{}" } as const;
    expect(toldLayer(told)).toEqual({});
    layIgnition(folder, told);
    const file = path.join(folder, "live.ign");
    expect(fs.readFileSync(file, "utf8")).toBe("{}");
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    layIgnition(folder, undefined);
    expect(fs.existsSync(file)).toBe(false);
  });
});
