/** Running the installer on a live system, and following it. */
import type { Connection, InstallationInputs } from "../contract";
import { HostError, lastLines } from "../errors";
import { note } from "../log";
import { exec, runScript } from "../ssh/exec";
import type { Deadline } from "../time";
import { sleep } from "../time";
import {
  claimScript,
  progressScript,
  receiveScript,
  startScript,
  stateScript,
  stopScript,
  userDataFile,
} from "./scripts";

/** What flatcar-install and coreos-install say at the end, and what coreos-installer says. */
const SUCCESS = /^(Success!|Install complete)/m;

/** Installs, or waits for the very same installation that an interrupted run left going. */
export async function install(inputs: InstallationInputs, deadline: Deadline): Promise<void> {
  const { installer, node, installHash, disk } = inputs;
  const state = (await onInstaller(installer, stateScript, "looking for an installation in progress")).trim();
  if (state === `done ${installHash} 0`) {
    note(node, "is installed already, only its reboot was missing");
    return;
  }
  if (state !== `running ${installHash}`) {
    await onInstaller(installer, stopScript, "stopping an earlier installation");
    await claim(installer, disk);
    await start(inputs);
    note(node, `installing to ${disk}`);
  } else note(node, "an installation is in progress, waiting for it");
  await follow(inputs, deadline);
}

async function onInstaller(
  installer: Connection,
  script: string,
  purpose: string,
  args: string[] = [],
): Promise<string> {
  return (await runScript(installer, script, args, { sudo: true, purpose })).stdout;
}

async function claim(installer: Connection, disk: string): Promise<void> {
  const state = (await onInstaller(installer, claimScript, `looking at ${disk}`, [disk])).trim();
  if (state === "blank" || state === "ours") return;
  throw new HostError(
    installer.node,
    state === "missing"
      ? `there is no disk ${disk}; list them there with \`lsblk\``
      : `the disk ${disk} is not empty (${state}), and is left as it is. If nothing on it is needed, run \`wipefs -a ${disk}\` there`,
  );
}

async function start(inputs: InstallationInputs): Promise<void> {
  const { installer, userData, format = "ignition", installHash, disk, channel, version, proxy } = inputs;
  await exec(installer, ["sh", "-c", receiveScript, "sh", installHash, disk, userDataFile[format]], {
    sudo: true,
    stdin: userData,
    purpose: "handing over the user data",
  });
  const settings = [disk, proxy ?? "", format, channel ?? "", version ?? ""];
  await onInstaller(installer, startScript, "starting the installation", settings);
}

async function follow({ installer, node, disk }: InstallationInputs, deadline: Deadline): Promise<void> {
  let log = Buffer.alloc(0);
  for (;;) {
    const output = await onInstaller(installer, progressScript, "following the installation", [
      String(log.length),
    ]);
    const [code = "", ...rest] = output.split("\n");
    const news = rest.join("\n");
    log = Buffer.concat([log, Buffer.from(news, "utf8")]);
    for (const line of news.split("\n").filter((each) => each.trim() !== "")) note(node, line.trim());
    const text = log.toString("utf8");
    if (code === "0" && SUCCESS.test(text)) return;
    if (code !== "running") {
      const said = lastLines(text) || "nothing";
      throw new HostError(
        node,
        `the installation to ${disk} failed (exit code ${code}); its last lines:\n${said}`,
      );
    }
    if (deadline.passed) {
      throw new HostError(
        node,
        `the installation did not end in ${deadline.seconds} s; its last lines:\n${lastLines(text)}`,
      );
    }
    await sleep(2000);
  }
}
