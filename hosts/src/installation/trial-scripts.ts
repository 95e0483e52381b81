/**
 * Shell scripts that try another cloud-config on a node, by a reboot, with a way back that lives on the node: a unit that
 * runs before the network at a boot, and one that waits until the time is up.
 *
 * All of a trial lies in `TRIAL_FOLDER`. One file in it says how far it is, and is only ever renamed: `armed` until the
 * reboot, `trying` from that boot on, then, by a rename that only one of the two can win, `confirmed` (SSH returned) or
 * `returning` (the time ran out). A boot that finds `trying` is not the first one: the power was lost.
 */
import { UNIT_FOLDER } from "../node-files/scripts";
import { REBOOT } from "../reboot";
import { INSTALL_MARKER } from "../rendered";
import { quote } from "../ssh/quote";
import { keepFunction, linksSettled, putBackFunction, writing } from "../trial/shell";

const TRIAL_FOLDER = "/var/lib/moorage/user-data";
/** By another name first, as a trial is there with all of its files or not at all. */
const ENDED_FOLDER = `${TRIAL_FOLDER}.ended`;
const BOOT_UNIT = "moorage-user-data.service";
export const BACK_UNIT = "moorage-user-data-back.service";
/** A boot that has not ended by then counts as one that has. */
export const BOOT_SECONDS = 300;

const units = [BOOT_UNIT, BACK_UNIT].map((unit) => `${UNIT_FOLDER}/${unit}`);
const links = [BOOT_UNIT, BACK_UNIT].map((unit) => `${UNIT_FOLDER}/multi-user.target.wants/${unit}`);

/** Where the installers put it, by distribution; read by coreos-cloudinit at boot. */
const places = ["/var/lib/flatcar-install/user_data", "/var/lib/coreos-install/user_data"];

/** Sets `file` to where the user data is. */
export const userDataPlace = `
for file in ${places.join(" ")} ""; do if [ -f "$file" ]; then break; fi; done
if [ -z "$file" ]; then echo "there is no user data in ${places.join(" nor in ")}" >&2; exit 1; fi`;

/** What is put in place, and what goes for it or comes with it. */
export interface Rewriting {
  readonly userData: string;
  readonly installHash: string;
  /** Paths that the former user data names, or the new one. */
  readonly files: readonly string[];
  /** Files and units that the new one does not name any more. */
  readonly leaving: { readonly files: readonly string[]; readonly units: readonly string[] };
  /** Units that the former one does not name. */
  readonly newUnits: readonly string[];
  readonly tryoutSeconds: number;
}

const disabling = (names: readonly string[]): string[] =>
  names.map((name) => `systemctl --no-reload disable ${quote(name)} 2>/dev/null || :`);

/** `restore`: everything as it was; the next boot applies the former user data. `clean`: takes the trial away. */
const functions = (newUnits: readonly string[]) => `${putBackFunction}
restore() {
  ${[...disabling(newUnits), "put_back"].join("\n  ")}
}
clean() {
  rm -rf ${ENDED_FOLDER}
  mv ${TRIAL_FOLDER} ${ENDED_FOLDER}
  rm -f ${[...links, ...units].join(" ")}
  systemctl daemon-reload
  cd /
  rm -rf ${ENDED_FOLDER}
  sync
}`;

/** Run at every boot of a trial, before anything that it changes is read; and where a trial ends otherwise. */
const bootProgram = ({ newUnits }: Rewriting) => `#!/bin/sh
# Begins the trial of this node's new user data at its first boot, and ends it at any later one.
cd ${TRIAL_FOLDER} || exit 0
${functions(newUnits)}
if mv armed trying 2>/dev/null; then sync; exit 0; fi
if mv trying returning 2>/dev/null || [ -e returning ]; then restore; fi
clean
`;

const waitProgram = ({ newUnits, tryoutSeconds }: Rewriting) => `#!/bin/sh
# Puts back the user data that this node had before, unless somebody keeps the new one in time.
cd ${TRIAL_FOLDER} || exit 0
${functions(newUnits)}
over() { [ -e now ] || [ ! -e trying ]; }
booting() { case "$(systemctl is-system-running 2>/dev/null)" in initializing | starting) true ;; *) false ;; esac; }
second=0
while [ $second -lt ${BOOT_SECONDS} ] && booting && ! over; do sleep 1; second=$((second + 1)); done
if ! over; then
  ${linksSettled}
  : > applied
fi
second=0
while [ $second -lt ${tryoutSeconds} ] && ! over; do sleep 1; second=$((second + 1)); done
if mv trying returning 2>/dev/null || [ -e returning ]; then
  restore
  ${REBOOT}
fi
`;

const bootUnit = `[Unit]
Description=The trial of this node's new user data, at a boot
DefaultDependencies=no
RequiresMountsFor=${TRIAL_FOLDER}
ConditionPathExists=${TRIAL_FOLDER}/boot
After=systemd-remount-fs.service
Before=sysinit.target network-pre.target systemd-networkd.service user-config.target
Wants=network-pre.target

[Service]
Type=oneshot
ExecStart=/bin/sh ${TRIAL_FOLDER}/boot
`;

const backUnit = `[Unit]
Description=The way back from this node's new user data
ConditionPathExists=${TRIAL_FOLDER}/wait

[Service]
ExecStart=/bin/sh ${TRIAL_FOLDER}/wait
Restart=on-failure
`;

/**
 * Lays the former user data and the way back on the node's disk, then puts the new one in place and reboots. Cut off
 * before it is armed it has changed nothing; failed after it, it takes everything back.
 */
export function tryScript(rewriting: Rewriting): string {
  const { userData, installHash, files, leaving } = rewriting;
  return `
set -eu
umask 077
${userDataPlace}
rm -rf ${TRIAL_FOLDER} ${ENDED_FOLDER}
mkdir -p ${TRIAL_FOLDER}
cd ${TRIAL_FOLDER}${keepFunction}
undo() {
  rm -f "$file.new"
  mv armed returning 2>/dev/null || :
  if [ -e boot ]; then sh ./boot; else rm -rf ${TRIAL_FOLDER}; fi
}
trap undo EXIT
${writing("new", userData)}
coreos-cloudinit --validate --from-file=new >&2
${writing("paths", files.map((path) => `${path}\n`).join(""))}
echo "$file" >> paths
while read -r path; do keep "$path"; done < paths
printf %s ${quote(installHash)} > hash
${writing("boot", bootProgram(rewriting))}
${writing("wait", waitProgram(rewriting))}
cp new "$file.new"
(
  umask 022
  mkdir -p ${UNIT_FOLDER}/multi-user.target.wants
  ${writing(units[0] ?? "", bootUnit)}
  ${writing(units[1] ?? "", backUnit)}
  ln -sf ../${BOOT_UNIT} ../${BACK_UNIT} ${UNIT_FOLDER}/multi-user.target.wants/
)
sync
: > armed
sync
${disabling(leaving.units).join("\n")}
${leaving.files.length > 0 ? `rm -f -- ${leaving.files.map(quote).join(" ")}` : ""}
mv "$file.new" "$file"
sync
trap - EXIT
setsid sh -c 'sleep 1; ${REBOOT}' >/dev/null 2>&1 &
`;
}

/** Prints how far a trial is, the digest that it is of, whether the system has booted, and what is installed. */
export const lookScript = `
step=none
for each in armed trying returning confirmed; do if [ -e ${TRIAL_FOLDER}/$each ]; then step=$each; fi; done
if [ $step = trying ] && [ -e ${TRIAL_FOLDER}/applied ]; then step=applied; fi
echo "step $step"
echo "tried $(cat ${TRIAL_FOLDER}/hash 2>/dev/null)"
echo "system $(systemctl is-system-running 2>/dev/null)"
echo "installed $(tr -d '\\n' < ${INSTALL_MARKER} 2>/dev/null)"
`;

/** Keeps the new user data, unless its way back has begun: only one of the two can rename the file. */
export const confirmScript = `
cd ${TRIAL_FOLDER} 2>/dev/null || { echo late; return 0; }
[ -e confirmed ] || { [ -e applied ] && mv trying confirmed 2>/dev/null; } || { echo late; return 0; }
sync
systemctl stop ${BACK_UNIT} || :
sh ./boot
echo kept
`;

/** Begins the way back; where the reboot into the trial was never made there is nothing else to do. */
export const returnScript = `
cd ${TRIAL_FOLDER} 2>/dev/null || return 0
if mv armed returning 2>/dev/null; then sh ./boot; return 0; fi
: > now
systemctl start --no-block ${BACK_UNIT} || :
`;
