import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { expect } from "vitest";
import { must } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { hostPublicKey, installerKey, publicKeyOf } from "../../lab/keys";
import { reinstall } from "../../lab/lab";
import type { Told } from "../../lab/live";
import type { TestLab } from "./testLab";

/** Has the program make the keys of a node's live installer, in place of the lab's own. */
export function makeInstallerKeys(lab: TestLab, node: string): void {
  lab.changeConfig((config) => {
    for (const key of ["hostKey", "identityFile"])
      config.deleteIn(["config", "moorage:nodes", node, "installer", key]);
  });
}

/** Boots a node's live installer with what `npm run -s moorage -- live` makes for it, and with no key of the lab's. */
export async function bootLive(lab: TestLab, node: string, by: Told["by"]): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-live-"));
  try {
    const told = await toldBy(lab, node, by, path.join(folder, `${node}.iso`));
    expect(await reinstall(lab.instance, lab.host(node), told)).toBe("installer");
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  if (by === "config-drive") {
    const unit = "user-configdrive.service";
    const log = await lab.mustRoot(node, `journalctl -b -o cat -u ${unit}`);
    const state = await lab.mustRoot(node, `systemctl show -p ActiveState ${unit}`);
    expect(state, log).toBe("ActiveState=active\n");
  }
  const keys = await lab.mustRoot(
    node,
    "grep -rh ssh-ed25519 /etc/ssh/ssh_host_ed25519_key.pub /home/core/.ssh",
  );
  for (const own of [hostPublicKey(lab.host(node)), publicKeyOf(installerKey(lab.instance))])
    expect(keys).not.toContain(own);
}

async function toldBy(lab: TestLab, node: string, by: Told["by"], image: string): Promise<Told> {
  switch (by) {
    case "ignition":
      return { by, text: await live(lab, node, "--secrets") };
    case "config-drive":
      await live(lab, node, "--config-drive", image);
      return { by, image };
    default:
      return by satisfies never;
  }
}

/** What `npm run -s moorage -- live` prints. */
function live(lab: TestLab, node: string, ...options: string[]): Promise<string> {
  const command = ["--no-install", "tsx", "ops/main.ts", "live", node, ...options];
  return must("npx", command, { env: lab.env, cwd: checkout() });
}
