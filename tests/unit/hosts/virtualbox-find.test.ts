import * as fs from "node:fs";
import * as path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { findScript, Manage } from "../../../hosts/src/virtualbox/manage";
import { parseLine } from "../../../hosts/src/virtualbox/parse";
import { scriptOn } from "../../../hosts/src/virtualbox/run";
import { afterwards, startServer, temporaryFolder } from "./support/stop";

/** A file system of another machine, in which nothing is but what a test puts there. */
let root: string;
beforeEach(() => {
  root = temporaryFolder();
  const before = { ...process.env };
  delete process.env.VBOX_MSI_INSTALL_PATH;
  afterwards(() => {
    process.env.PATH = before.PATH;
    if (before.VBOX_MSI_INSTALL_PATH === undefined) delete process.env.VBOX_MSI_INSTALL_PATH;
    else process.env.VBOX_MSI_INSTALL_PATH = before.VBOX_MSI_INSTALL_PATH;
  });
});

/** A program there, which says what VBoxManage says to these arguments. */
function program(file: string, answers: Readonly<Record<string, string>> = {}, mode = 0o755): string {
  const full = path.join(root, file);
  fs.mkdirSync(path.dirname(full), { recursive: true });
  const cases = Object.entries(answers).map(([args, text]) => `'${args}') printf '%s\\n' '${text}' ;;\n`);
  fs.writeFileSync(full, `#!/bin/sh\ncase "$*" in\n${cases.join("")}esac\n`, { mode });
  return full;
}

async function found(configured = ""): Promise<string | undefined> {
  return parseLine(await scriptOn({}, findScript(root), [configured], { purpose: "looking" }), "path");
}

const linux = "usr/bin/VBoxManage";
const windows = "c/Program Files/Oracle/VirtualBox/VBoxManage.exe";

describe("VBoxManage is found", () => {
  const places: [string, string][] = [
    ["a Linux distribution's package, or Oracle's", linux],
    ["Oracle's installer for other Linux distributions", "opt/VirtualBox/VBoxManage"],
    ["the package for macOS", "usr/local/bin/VBoxManage"],
    [
      "the package for macOS, where it makes no link",
      "Applications/VirtualBox.app/Contents/MacOS/VBoxManage",
    ],
    ["the installer for Windows", windows],
  ];
  it.each(places)("where %s puts it", async (_what, file) => {
    const full = program(file);
    expect(await found()).toBe(full);
    // What cannot be run is none.
    fs.chmodSync(full, 0o644);
    expect(await found()).toBeUndefined();
  });

  it.each(["", "/", "\\"])(
    "in the folder that Windows's installer was told, which it writes with %j last",
    async (last) => {
      const full = program("d/Own Programs/VirtualBox/VBoxManage.exe");
      process.env.VBOX_MSI_INSTALL_PATH = `${path.dirname(full)}${last}`;
      program(windows);
      expect(await found()).toBe(full);
    },
  );

  it("where that folder is gone, in the usual one", async () => {
    process.env.VBOX_MSI_INSTALL_PATH = path.join(root, "gone/");
    const full = program(windows);
    expect(await found()).toBe(full);
  });

  it("on the PATH before anywhere else", async () => {
    program(linux);
    const full = program("own/bin/VBoxManage");
    process.env.PATH = `${path.dirname(full)}:${process.env.PATH}`;
    expect(await found()).toBe(full);
  });

  it("where the configuration says, and there alone", async () => {
    program(linux);
    const full = program("own/it's mine/VBoxManage");
    expect(await found(full)).toBe(full);
    expect(await found(path.join(root, "gone"))).toBeUndefined();
  });
});

describe("a hypervisor that cannot be used says what to do", () => {
  const properties = "Default machine folder:          C:\\Users\\you\\VirtualBox VMs";

  it("without VBoxManage", async () => {
    // Whatever it is asked, it finds nothing.
    const server = await startServer({ node: "hypervisor", wrap: ["sh", "-c", "cat >/dev/null"] });
    await expect(Manage.on({ connection: server.connection() })).rejects.toThrow(
      "hypervisor: VBoxManage was found nowhere: install VirtualBox there, or name its path in hypervisor.vboxManage",
    );
  });

  it("without the one that is configured", async () => {
    const vboxManage = path.join(root, "gone");
    await expect(Manage.on({ vboxManage })).rejects.toThrow(
      `hypervisor: there is no program ${vboxManage}; correct hypervisor.vboxManage in the configuration`,
    );
  });

  it("with a program that is another one", async () => {
    const vboxManage = program("other", { "--version": "other 1.0" });
    await expect(Manage.on({ vboxManage })).rejects.toThrow(
      `hypervisor: ${vboxManage} --version says no version that can be read: other 1.0`,
    );
  });

  it("with a version that does not do", async () => {
    const vboxManage = program(linux, { "--version": "6.0.24r139119" });
    await expect(Manage.on({ vboxManage })).rejects.toThrow(
      /^hypervisor: VirtualBox 6\.0\.24r139119 is too old: 6\.1, 7\.0, 7\.1 or 7\.2 \(from 7\.2\.4 on\) is needed/,
    );
  });

  it("without a default machine folder, where the configuration names none either", async () => {
    const vboxManage = program(linux, {
      "--version": "7.1.4r165100",
      "list systemproperties": "API version:                     7_1\nDefault machine folder:          ",
    });
    await expect(Manage.on({ vboxManage })).rejects.toThrow(
      "hypervisor: VirtualBox names no default machine folder; set hypervisor.folder in the configuration",
    );
    expect((await Manage.on({ vboxManage, folder: "/vms" })).folder).toBe("/vms");
  });

  it("and one that can is known by program, version and folder, whose separators are the shell's", async () => {
    const vboxManage = program(windows, { "--version": "7.2.4r170995", "list systemproperties": properties });
    const manage = await Manage.on({ vboxManage });
    expect([manage.version.text, manage.folder]).toEqual(["7.2.4r170995", "C:/Users/you/VirtualBox VMs"]);
  });
});
