import * as fs from "node:fs";
import * as path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { findScript, Manage } from "../../../hosts/src/virtualbox/manage";
import { natNetwork } from "../../../hosts/src/virtualbox/network";
import { parseLine } from "../../../hosts/src/virtualbox/parse";
import { scriptOn } from "../../../hosts/src/virtualbox/run";
import { afterwards, startServer, temporaryFolder } from "./support/stop";
import { TestVirtualBox } from "./support/virtualbox";

/** A file system of another machine, which holds only what a test puts there. */
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

/** A program there, which prints what VBoxManage prints for these arguments. */
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
  it.each([
    ["Linux", linux],
    ["Linux, by Oracle's installer", "opt/VirtualBox/VBoxManage"],
    ["macOS", "usr/local/bin/VBoxManage"],
    ["macOS without a link", "Applications/VirtualBox.app/Contents/MacOS/VBoxManage"],
    ["Windows", windows],
  ])("on %s", async (_what, file) => {
    const full = program(file);
    expect(await found()).toBe(full);
    fs.chmodSync(full, 0o644);
    expect(await found()).toBeUndefined();
  });

  it.each(["", "/", "\\"])("in Windows's own folder for it, with %j at its end", async (last) => {
    const full = program("d/Own Programs/VirtualBox/VBoxManage.exe");
    process.env.VBOX_MSI_INSTALL_PATH = `${path.dirname(full)}${last}`;
    const usual = program(windows);
    expect(await found()).toBe(full);
    fs.rmSync(full);
    expect(await found()).toBe(usual);
  });

  it("as configured and only there, else on the PATH first", async () => {
    program(linux);
    const full = program("own/it's mine/VBoxManage");
    expect(await found(full)).toBe(full);
    expect(await found(path.join(root, "gone"))).toBeUndefined();
    process.env.PATH = `${path.dirname(full)}:${process.env.PATH}`;
    expect(await found()).toBe(full);
  });
});

describe("a hypervisor that cannot be used: the error says what to do", () => {
  const folder = "Default machine folder:          C:\\Users\\you\\VirtualBox VMs";

  it.each<[string, string, RegExp]>([
    ["is no VBoxManage", "other 1.0", /VBoxManage --version says no version that can be read: other 1\.0/],
    [
      "is too old",
      "6.0.24r139119",
      /6\.0\.24r139119 is too old: 6\.1, 7\.0, 7\.1 or 7\.2 \(from 7\.2\.4 on\)/,
    ],
    [
      "has NAT networks that do not work",
      "7.2.2r170484",
      /7\.2\.2r170484 has NAT networks .*fixed in 7\.2\.4/,
    ],
    ["has no machine folder", "7.1.4r165100", /names no default machine folder; set hypervisor\.folder in/],
  ])("its program %s", async (_what, version, wanted) => {
    const vboxManage = program(linux, { "--version": version });
    await expect(Manage.on({ vboxManage })).rejects.toThrow(wanted);
    if (version.startsWith("7.1"))
      expect((await Manage.on({ vboxManage, folder: "/vms" })).folder).toBe("/vms");
  });

  it("there is no VBoxManage", async () => {
    const vboxManage = path.join(root, "gone");
    await expect(Manage.on({ vboxManage })).rejects.toThrow(
      `hypervisor: there is no program ${vboxManage}; correct hypervisor.vboxManage in the configuration`,
    );
    const server = await startServer({ node: "hypervisor", wrap: ["sh", "-c", "cat >/dev/null"] });
    await expect(Manage.on({ connection: server.connection() })).rejects.toThrow(
      "hypervisor: VBoxManage was found nowhere: install VirtualBox there, or name its path in hypervisor.vboxManage",
    );
  });

  it("its SSH server has no POSIX shell", async () => {
    const cmd = `echo "'sh' is not recognized as an internal or external command," >&2; exit 1; :`;
    const server = await startServer({ node: "hypervisor", wrap: ["sh", "-c", cmd] });
    const inputs = new TestVirtualBox().network({ hypervisor: { connection: server.connection() } });
    await expect(natNetwork.create(inputs)).rejects.toThrow(
      /looking for VBoxManage failed[^]*A POSIX shell is needed there\. On Windows make Git's bash the shell/,
    );
  });

  it("else its version and its folder are known, whose separators are the shell's", async () => {
    const vboxManage = program(windows, { "--version": "7.2.4r170995", "list systemproperties": folder });
    const manage = await Manage.on({ vboxManage });
    expect([manage.version.text, manage.folder]).toEqual(["7.2.4r170995", "C:/Users/you/VirtualBox VMs"]);
  });
});
