import { renderUserData } from "@moorage/render";
import { expect, it } from "vitest";
import { expectGolden } from "./golden";
import { fedora, flatcar } from "./models";

const hash = "0".repeat(64);

/** The files inside the Ignition, decoded, below it: in the JSON they are one line each. */
function readable(ignition: string): string {
  const { storage } = JSON.parse(ignition) as { storage: { files: { path: string; contents: { source: string } }[] } };
  const files = storage.files.map(({ path, contents }) => {
    expect(contents.source.startsWith("data:,")).toBe(true);
    return `### ${path}\n${decodeURIComponent(contents.source.slice("data:,".length))}`;
  });
  return `${ignition}\n${files.join("\n")}`;
}

it("Ignition for Flatcar", () => {
  expectGolden("ignition-flatcar.txt", readable(renderUserData(flatcar, { format: "ignition", installHash: hash })));
});

it("Ignition for Fedora CoreOS", () => {
  expectGolden("ignition-fedora-coreos.txt", readable(renderUserData(fedora, { format: "ignition", installHash: hash })));
});
