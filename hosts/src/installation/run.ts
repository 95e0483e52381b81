/** Running the installer on a live system, and following it. */
import type { Connection, InstallationInputs } from "../contract";
import { INSTALL_FOLDER, claimOf, contentOf, refusalOf, type Claimant, type FoundDisk } from "../disk-claim";
import { HostError, lastLines } from "../errors";
import { note } from "../log";
import type { InstallMark } from "../rendered";
import { exec, runScript, type ExecOptions } from "../ssh/exec";
import type { Deadline } from "../time";
import { bringImage } from "./image";
import {
  claimScript,
  environmentScript,
  eraseScript,
  installerScript,
  progressScript,
  proxyEnvironment,
  receiveScript,
  startScript,
  stateScript,
  stopScript,
  userDataFile,
} from "./scripts";

/** What flatcar-install and coreos-install say at the end, and what coreos-installer says. */
const SUCCESS = /^(Success!|Install complete)/m;

/**
 * Installs, or waits for the very same installation that an interrupted run left going.
 * @param recorded the digest that the node is known to have been installed with before, where it is known
 */
export async function install(
  inputs: InstallationInputs,
  deadline: Deadline,
  recorded?: string,
): Promise<void> {
  const { installer, node, installHash, disk } = inputs;
  const state = (await onInstaller(installer, stateScript, "looking for an installation in progress")).trim();
  if (state === `done ${installHash} 0`) {
    note(node, "is installed already, only its reboot was missing");
    return;
  }
  if (state !== `running ${installHash}`) {
    const { format = "ignition" } = inputs;
    await onInstaller(installer, installerScript, "looking for what installs", [format]);
    await onInstaller(installer, stopScript, "stopping an earlier installation");
    const claimant = { ...inputs, installHashes: [installHash, recorded] };
    const found = await claim(inputs, claimant);
    const image = inputs.image && (await bringImage(installer, inputs.image, deadline));
    if (claimOf(found, claimant) === "erasable") await erase(inputs, found);
    await start(inputs, image ?? "");
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

/** The system disk, as the live installer that answers sees it. */
export async function lookAtDisk(
  { installer, disk }: Pick<InstallationInputs, "installer" | "disk">,
  options: Pick<ExecOptions, "patience" | "timeoutSeconds"> = {},
): Promise<FoundDisk> {
  const purpose = `looking at ${disk}`;
  const { stdout } = await runScript(installer, claimScript, [disk], { sudo: true, ...options, purpose });
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(stdout)?.[1]?.trim() ?? "";
  return {
    disk,
    real: value("real"),
    state: value("state"),
    serial: value("serial"),
    data: value("data"),
    kept: value("kept"),
  };
}

/** @throws HostError where the disk is not there, or holds what the installation may not erase. */
async function claim(inputs: InstallationInputs, claimant: Claimant): Promise<FoundDisk> {
  const found = await lookAtDisk(inputs);
  if (claimOf(found, claimant) !== "refused") return found;
  const { what, advice } = refusalOf(found, claimant);
  throw new HostError(inputs.node, `${what}. To do: ${advice}`);
}

async function erase({ installer, node, disk }: InstallationInputs, found: FoundDisk): Promise<void> {
  note(node, `erasing ${disk} (serial number ${found.serial}), as configured; it holds ${contentOf(found)}`);
  await onInstaller(installer, eraseScript, `erasing ${disk}`, [disk, found.serial]);
}

async function start(inputs: InstallationInputs, image: string): Promise<void> {
  const { installer, userData, format = "ignition", installHash, disk, channel, version, proxies } = inputs;
  const mark: InstallMark = { installHash, stack: inputs.stack, node: inputs.node };
  const known = [installHash, disk, userDataFile[format], JSON.stringify(mark)];
  await exec(installer, ["sh", "-c", receiveScript, "sh", ...known], {
    sudo: true,
    stdin: userData,
    purpose: "handing over the user data",
  });
  if (proxies) {
    await exec(installer, ["sh", "-c", environmentScript], {
      sudo: true,
      stdin: proxyEnvironment(proxies),
      purpose: "handing over the proxies",
    });
  }
  const settings = [disk, format, channel ?? "", version ?? "", image];
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
      throw new HostError(
        node,
        `the installation to ${disk} failed (exit code ${code}); ${saidBy(text)}\n${adviceOn(node, text)}`,
      );
    }
    if (deadline.passed) {
      throw new HostError(
        node,
        `the installation to ${disk} did not end in ${deadline.seconds} s; ${saidBy(text)}\n` +
          "It goes on there, and is waited for when you run again. If it hangs, end it before that: " +
          `\`sudo sh -c 'kill -- -$(cat ${INSTALL_FOLDER}/pid)'\` there; it is begun anew then.`,
      );
    }
    await deadline.clock.sleep(2000);
  }
}

function saidBy(text: string): string {
  const said = lastLines(text);
  return said === "" ? "it said nothing" : `its last lines:\n${said}`;
}

/** flatcar-install and coreos-install validate a cloud-config before they write anything to the disk. */
function adviceOn(node: string, said: string): string {
  if (said.trim() === "") return "See `journalctl` there, and run again: it is begun anew.";
  return /\bconfig\b.* is not valid/i.test(said)
    ? `Correct nodes.${node}, network or os in the configuration, and run again.`
    : "Mend what they tell, there or below os in the configuration, and run again: it is begun anew.";
}
