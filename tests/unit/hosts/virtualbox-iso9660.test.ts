import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { isoImageOf } from "../../../hosts/src/virtualbox/iso9660";
import { readConfigDrive } from "../../../lab/virtualbox/configDrive";
import { temporaryFolder } from "./support/stop";

const userData = "openstack/latest/user_data";

function written(label: string, files: Record<string, string>): string {
  const file = path.join(temporaryFolder(), "image.iso");
  fs.writeFileSync(file, isoImageOf(label, files));
  return file;
}

it("an image is what other programs take for a config drive", () => {
  const text = "#cloud-config\nhostname: coreos1\n";
  const file = written("config-2", { [userData]: text });
  const probed = execFileSync("/sbin/blkid", ["-p", "-o", "export", file], { encoding: "utf8" });
  expect(probed).toMatch(/^LABEL=config-2$/m);
  expect(probed).toMatch(/^TYPE=iso9660$/m);
  expect(execFileSync("isoinfo", ["-J", "-x", `/${userData};1`, "-i", file], { encoding: "utf8" })).toBe(
    text,
  );
  // Where Joliet is not known, Linux shows these names with small letters.
  const plain = execFileSync("isoinfo", ["-f", "-i", file], { encoding: "utf8" });
  expect(plain.split("\n").filter(Boolean)).toEqual([
    "/OPENSTACK",
    "/OPENSTACK/LATEST",
    "/OPENSTACK/LATEST/USER_DATA.;1",
  ]);
});

it("files of every size, in any number, come out as they went in", () => {
  const name = fc.stringMatching(/^[a-z0-9_]{1,12}$/);
  const files = fc.dictionary(
    fc.tuple(name, name).map(([folder, file]) => `d_${folder}/f_${file}`),
    fc.oneof(fc.constantFrom(0, 1, 2047, 2048, 2049), fc.nat(9000)).map((size) => "x".repeat(size)),
    { minKeys: 1, maxKeys: 60 },
  );
  fc.assert(
    fc.property(files, (all) => {
      const image = isoImageOf("label", all);
      expect(image.length % 2048).toBe(0);
      const file = written("label", all);
      const listed = execFileSync("isoinfo", ["-J", "-f", "-i", file], { encoding: "utf8" });
      for (const [inner, content] of Object.entries(all)) {
        expect(listed).toContain(`/${inner}`);
        const read = execFileSync("isoinfo", ["-J", "-x", `/${inner};1`, "-i", file], { encoding: "utf8" });
        expect(read.length).toBe(content.length);
      }
    }),
    { numRuns: 5 },
  );
}, 60_000);

it("only an image with the right label and path is a config drive", () => {
  expect(readConfigDrive(written("config-2", { [userData]: "text" }))).toBe("text");
  expect(readConfigDrive(written("other", { [userData]: "text" }))).toBeUndefined();
  expect(readConfigDrive(written("config-2", { "openstack/other/user_data": "text" }))).toBeUndefined();
});

it("names and labels that it cannot hold are refused", () => {
  expect(() => isoImageOf("config-2", { "a/B": "" })).toThrow('"B" is no name');
  expect(() => isoImageOf("a label", {})).toThrow('"a label" is no label');
});
