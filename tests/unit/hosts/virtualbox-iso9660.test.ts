import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { isoImageOf } from "../../../hosts/src/virtualbox/iso9660";
import { temporaryFolder } from "./support/stop";

const userData = "openstack/latest/user_data";

function written(label: string, files: Record<string, string>): string {
  const file = path.join(temporaryFolder(), "image.iso");
  fs.writeFileSync(file, isoImageOf(label, files));
  return file;
}

const isoinfo = (...args: string[]): string => execFileSync("isoinfo", args, { encoding: "utf8" });

it("an image is what other programs take for a config drive", () => {
  const text = "#cloud-config\nhostname: coreos1\n";
  const file = written("config-2", { [userData]: text });
  const probed = execFileSync("/sbin/blkid", ["-p", "-o", "export", file], { encoding: "utf8" });
  expect(probed).toMatch(/^LABEL=config-2$/m);
  expect(probed).toMatch(/^TYPE=iso9660$/m);
  expect(isoinfo("-J", "-x", `/${userData};1`, "-i", file)).toBe(text);
  // Without Joliet, Linux shows these names in lower case.
  expect(isoinfo("-f", "-i", file).split("\n").filter(Boolean)).toEqual([
    "/OPENSTACK",
    "/OPENSTACK/LATEST",
    "/OPENSTACK/LATEST/USER_DATA.;1",
  ]);
});

it("files of every size, in any number, come out as they went in", () => {
  const sizes = [0, 1, 2047, 2048, 2049, 9000, ...Array.from({ length: 60 }, (_, at) => 37 * at)];
  const all = Object.fromEntries(sizes.map((size, at) => [`d_${at % 7}/f_${at}`, "x".repeat(size)]));
  const file = written("label", all);
  expect(fs.statSync(file).size % 2048).toBe(0);
  const listed = isoinfo("-J", "-f", "-i", file);
  for (const [at, [inner, content]] of Object.entries(all).entries()) {
    expect(listed).toContain(`/${inner}`);
    if (at < 6) expect(isoinfo("-J", "-x", `/${inner};1`, "-i", file)).toBe(content);
  }
});

it("names and labels that it cannot hold are refused", () => {
  expect(() => isoImageOf("config-2", { "a/B": "" })).toThrow('"B" is no name');
  expect(() => isoImageOf("a label", {})).toThrow('"a label" is no label');
});
