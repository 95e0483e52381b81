/** Another cloud-config on trial: kept once SSH was reached anew with it, taken back by the node itself otherwise. */
import type { Connection, InstallationInputs } from "../contract";
import { HostError, reasonOf, UnreachableError } from "../errors";
import { note } from "../log";
import { installHashIn } from "../rendered";
import { brief, type Patience } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { dropConnection } from "../ssh/pool";
import { inTurn } from "../swarm/turn";
import { Deadline, poll } from "../time";
import { once, WentBack } from "../trial";
import { BACK_UNIT, BOOT_SECONDS, confirmScript, lookScript, returnScript } from "./trial-scripts";

/** How long a machine may take from the word to reboot until it boots. */
const REBOOT_SECONDS = 600;
const DEFAULT_TRYOUT_SECONDS = 60;
/** A connection that a change of the network has cut says nothing: it is left for another one. */
const LOOK_SECONDS = 15;

/** `applied`: the node has booted with the new user data, and waits for a word that SSH returned. */
type Step = "none" | "armed" | "trying" | "applied" | "returning" | "confirmed";

interface Looked {
  readonly step: Step;
  /** Digest of what is tried. */
  readonly tried: string;
  readonly installHash: string | undefined;
  readonly booted: boolean;
}

async function look(target: Connection, patience?: Patience): Promise<Looked> {
  const { stdout } = await runScript(target, lookScript, [], {
    sudo: true,
    timeoutSeconds: LOOK_SECONDS,
    patience,
    purpose: "looking how far its new user data is",
  });
  const value = (key: string) => new RegExp(`^${key} (.*)$`, "m").exec(stdout)?.[1]?.trim() ?? "";
  return {
    step: (value("step") || "none") as Step,
    tried: value("tried"),
    installHash: installHashIn(value("installed")),
    booted: !["initializing", "starting"].includes(value("system")),
  };
}

/** Whether what the node runs with is only tried, or about to be. */
export async function isOnTrial(target: Connection): Promise<boolean> {
  return (await look(target, brief)).step !== "none";
}

export const tryoutSecondsOf = ({ tryoutSeconds }: InstallationInputs): number =>
  tryoutSeconds ?? DEFAULT_TRYOUT_SECONDS;

type Trial = Pick<InstallationInputs, "node" | "target" | "installHash" | "tryoutSeconds"> & {
  /** What is tried, by name. */
  readonly names: readonly string[];
};

/**
 * Waits for the end of a trial that has begun, and keeps what is tried where SSH returns.
 * @throws WentBack where the node has its former user data again; UnreachableError where it stays away.
 */
export async function followTrial(trial: Trial, tryoutSeconds: number): Promise<void> {
  const { node, target, installHash } = trial;
  const deadline = new Deadline(2 * REBOOT_SECONDS + BOOT_SECONDS + tryoutSeconds);
  let last = "";
  let [before, unapplied] = [false, false];
  const ended = await poll(deadline, 1, async () => {
    // A connection from before proves nothing.
    dropConnection(target);
    try {
      const seen = await look(target, once);
      if (seen.step === "none") {
        if (!seen.booted) return undefined;
        return seen.installHash === installHash ? "kept" : "back";
      }
      if (seen.step === "applied" && seen.installHash !== installHash) {
        unapplied = true;
        await goBack(target);
      }
      const applied = seen.step === "confirmed" || (seen.step === "applied" && !unapplied);
      if (applied && before && (await confirmed(target))) return "kept";
      before = applied;
      return undefined;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      last = reasonOf(error, node);
      return undefined;
    }
  });
  if (ended === undefined) throw lost(node, deadline.seconds, last);
  if (ended === "back") throw wentBack(trial, tryoutSeconds, unapplied ? undefined : last);
  note(node, `runs with its new user data after ${deadline.elapsed} s`);
}

async function confirmed(target: Connection): Promise<boolean> {
  const { stdout } = await runScript(target, confirmScript, [], {
    sudo: true,
    timeoutSeconds: LOOK_SECONDS,
    patience: once,
    purpose: "keeping the new user data",
  });
  return stdout.trim().endsWith("kept");
}

async function goBack(target: Connection): Promise<void> {
  await runScript(target, returnScript, [], { sudo: true, purpose: "taking back the new user data" });
}

/** @param last what SSH said at the end; undefined where it returned, and the user data was not applied */
function wentBack({ node, target, names }: Trial, tryoutSeconds: number, last: string | undefined): WentBack {
  const { user, host, port } = target;
  const why =
    last === undefined
      ? "the new one was not applied; see there `journalctl -b -1 -t coreos-cloudinit`"
      : `with the new one, SSH did not return at ${user}@${host}:${port} within ${tryoutSeconds} s of its boot` +
        (last === "" ? "" : ` (${last})`);
  const tried = names.length > 0 ? ` Tried: ${names.join(", ")}.` : "";
  return new WentBack(
    node,
    `went back by itself to its former user data: ${why}.${tried} ` +
      `Correct nodes.${node}, network or os in the configuration, and run again.`,
  );
}

function lost(node: string, seconds: number, last: string): UnreachableError {
  return new UnreachableError(
    node,
    `its new user data was neither kept nor taken back ${seconds} s after its reboot was asked for: ${last || "it still runs"}. ` +
      `See on its console; another reboot there puts the former one back (\`journalctl -u ${BACK_UNIT}\`).`,
  );
}

/**
 * Ends what an earlier update has left on trial there: the very user data that is wanted is kept where its time is not
 * up, any other is taken back.
 * @returns whether there was any
 */
export async function settleTrial(inputs: InstallationInputs): Promise<boolean> {
  const { node, target, installHash } = inputs;
  const first = await look(target);
  if (first.step === "none") return false;
  // It is out of service already, and may be about to reboot: nobody else is to go meanwhile.
  await inTurn(
    node,
    () => Promise.resolve(),
    async () => {
      const goesOn = first.tried === installHash && !["armed", "returning"].includes(first.step);
      if (goesOn || first.step === "confirmed") {
        note(node, "is on trial with its new user data since an earlier update");
        const trial = { ...inputs, names: [] };
        return followTrial(trial, tryoutSecondsOf(inputs)).catch((error: unknown) => {
          if (!(error instanceof WentBack)) throw error;
        });
      }
      note(node, "takes back new user data that an earlier update has left there on trial");
      await goBack(target);
      await awaitFormer(node, target);
    },
  );
  return true;
}

async function awaitFormer(node: string, target: Connection): Promise<void> {
  const deadline = new Deadline(REBOOT_SECONDS + BOOT_SECONDS);
  let last = "";
  const back = await poll(deadline, 1, async () => {
    dropConnection(target);
    try {
      const { step, booted } = await look(target, once);
      return step === "none" && booted ? true : undefined;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      last = reasonOf(error, node);
      return undefined;
    }
  });
  if (!back) throw lost(node, deadline.seconds, last);
}
