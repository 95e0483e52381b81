/**
 * Shell scripts that change a node's network with a way back. The way back lives on the node: a timer, and a unit that
 * also runs before the network is set up at a boot.
 *
 * The change lies in `CHANGE_FOLDER`. One file in it says how far it is: `trying` from before the first file is changed,
 * then, by a rename that only one of the two can win, `confirmed` (SSH returned) or `returning` (the time ran out).
 */
import type { NodeNetworkInputs } from "../contract";
import { readScript, UNIT_FOLDER, type Placed } from "../node-files/scripts";
import { quote } from "../ssh/quote";
import { keepFunction, linksSettled, putBackFunction, putFunction, writing } from "../trial/shell";

export const CHANGE_FOLDER = "/var/lib/moorage/network";
/** What the node's own tools said where they refused the new files. */
const PROBLEM = "/run/moorage-network-problem";
export const BACK_UNIT = "moorage-network-back.service";
const BACK_TIMER = "moorage-network-back.timer";
const CHANGE_UNIT = "moorage-network-change.service";
const AT_BOOT = `${UNIT_FOLDER}/multi-user.target.wants/${BACK_UNIT}`;

type Service = NodeNetworkInputs["service"];

/** What is to become of a node's network: files to place, and paths that no longer have one. */
export interface Change {
  readonly wanted: readonly Placed[];
  readonly gone: readonly string[];
}

export const pathsOf = ({ wanted, gone }: Change): string[] => [...wanted.map(({ path }) => path), ...gone];

const named = (paths: readonly string[], pattern: RegExp): string[] =>
  paths.flatMap((path) => pattern.exec(path)?.[1] ?? []);

/**
 * `apply`: makes the service take over what lies in its folder now. networkd leaves a device that is there as it is, so
 * those whose `.netdev` changed are taken away before, and made anew by their parent.
 */
function applyFunction(service: Service, paths: readonly string[]): string {
  if (service === "NetworkManager") {
    const files = named(paths, /^(.*\.nmconnection)$/).map(quote);
    return `
apply() {
  systemctl is-active -q NetworkManager.service || return 0
  timeout 30 nmcli connection reload || return 1
  for file in ${files.join(" ")}; do
    id=$(basename "$file" .nmconnection)
    if grep -qsx 'method=manual' "$file"; then
      # Where it does not come up the former one stays in force until the next boot, and would pass for the new one.
      nmcli --wait 15 connection up id "$id" || return 1
    else nmcli --wait 0 connection up id "$id" || :
    fi
  done
}`;
  }
  const devices = named(paths, /\/\d+-([^/]+)\.netdev$/).map(quote);
  return `
apply() {
  systemctl is-active -q systemd-networkd.service || return 0
  for device in ${devices.join(" ")}; do ip link delete "$device" 2>/dev/null || :; done
  timeout 30 networkctl reload || return 1
  ${devices.length > 0 ? remakeDevices : ":"}
  sleep 1
  ${linksSettled}
}`;
}

/** Devices are made with the link below them, which networkd has no reason to look at again. */
const remakeDevices = `for link in $(grep -lsx 'NETWORK_FILE=.*/10-moorage.network' /run/systemd/netif/links/*); do
    networkctl reconfigure "$(basename "$link")" || :
  done`;

/** Puts the new files in place; where the service refuses them, the former ones come back at once. */
function changeProgram(service: Service, paths: readonly string[]): string {
  return `#!/bin/sh
# Tries the new network of this node.
cd ${CHANGE_FOLDER} && [ -e trying ] || exit 0
${putFunction}${applyFunction(service, paths)}
# The connection that started this gets its answer first.
sleep 1
while read -r path; do
  if [ -e "new$path" ]; then put "new$path" "$path"; else rm -f "$path"; fi
done < paths
sync
if apply > said 2>&1; then : > applied; exit 0; fi
cp said ${PROBLEM}
systemctl start --no-block ${BACK_UNIT}
`;
}

/** Run by the timer, at a boot, and once a change is confirmed, when there is only itself to take away. */
function backProgram(service: Service, paths: readonly string[]): string {
  return `#!/bin/sh
# Puts back the network that this node had before a change which nobody confirmed in time.
cd ${CHANGE_FOLDER} || exit 0
${putBackFunction}${applyFunction(service, paths)}
if mv trying returning 2>/dev/null || [ -e returning ]; then
  systemctl stop ${CHANGE_UNIT} 2>/dev/null
  put_back
  apply
fi
rm -f ${AT_BOOT} ${UNIT_FOLDER}/${BACK_UNIT} ${UNIT_FOLDER}/${BACK_TIMER} ${UNIT_FOLDER}/${CHANGE_UNIT}
systemctl daemon-reload
systemctl stop --no-block ${BACK_TIMER} 2>/dev/null
cd /
rm -rf ${CHANGE_FOLDER}
sync
`;
}

const backUnit = `[Unit]
Description=The network that this node had before an unconfirmed change
DefaultDependencies=no
RequiresMountsFor=${CHANGE_FOLDER}
After=systemd-remount-fs.service
Before=network-pre.target systemd-networkd.service NetworkManager.service
Wants=network-pre.target

[Service]
Type=oneshot
ExecStart=/bin/sh ${CHANGE_FOLDER}/back
`;

const backTimer = (seconds: number) => `[Unit]
Description=The way back of a change of this node's network

[Timer]
OnActiveSec=${seconds}s
AccuracySec=1s
`;

const changeUnit = `[Unit]
Description=A change of this node's network

[Service]
Type=oneshot
ExecStart=/bin/sh ${CHANGE_FOLDER}/change
`;

/** Lays the change and its way back on the node's disk, starts the timer, and then the change, which outlives SSH. */
export function tryScript({ service, tryoutSeconds }: NodeNetworkInputs, change: Change): string {
  const paths = pathsOf(change);
  const fresh = change.wanted.flatMap(({ path, content, mode, owner }) => [
    `mkdir -p "$(dirname ${quote(`new${path}`)})"`,
    writing(`new${path}`, content),
    `chown ${quote(owner)} ${quote(`new${path}`)}`,
    `chmod ${mode.toString(8)} ${quote(`new${path}`)}`,
  ]);
  return `
set -eu
umask 077
rm -rf ${CHANGE_FOLDER} ${PROBLEM}
mkdir -p ${CHANGE_FOLDER}
cd ${CHANGE_FOLDER}${keepFunction}
${fresh.join("\n")}
${paths.map((path) => `keep ${quote(path)}`).join("\n")}
${writing("paths", paths.map((path) => `${path}\n`).join(""))}
${writing("change", changeProgram(service, paths))}
${writing("back", backProgram(service, paths))}
umask 022
mkdir -p ${UNIT_FOLDER}/multi-user.target.wants
${writing(`${UNIT_FOLDER}/${BACK_UNIT}`, backUnit)}
${writing(`${UNIT_FOLDER}/${BACK_TIMER}`, backTimer(tryoutSeconds))}
${writing(`${UNIT_FOLDER}/${CHANGE_UNIT}`, changeUnit)}
ln -sf ../${BACK_UNIT} ${AT_BOOT}
: > trying
sync
systemctl daemon-reload
systemctl start ${BACK_TIMER}
systemctl start --no-block ${CHANGE_UNIT}
`;
}

/** Prints how far a change is, what the node's tools refused, and the files as they are. */
export function lookScript(paths: readonly string[]): string {
  return `
change=none
for step in trying returning confirmed; do if [ -e ${CHANGE_FOLDER}/$step ]; then change=$step; fi; done
if [ $change = trying ] && [ -e ${CHANGE_FOLDER}/applied ]; then change=applied; fi
# What was cut off before anything was changed is nothing.
echo "change $change"
if [ -s ${PROBLEM} ]; then sed 's/^/problem /' ${PROBLEM}; fi
${readScript(paths, [])}
`;
}

/** Keeps the new network, unless its way back has begun: only one of the two can rename the file. */
export const confirmScript = `
cd ${CHANGE_FOLDER} 2>/dev/null && [ -e applied ] && mv trying confirmed 2>/dev/null || { echo late; return 0; }
sync
systemctl stop ${BACK_TIMER} || :
sh ${CHANGE_FOLDER}/back
echo kept
`;

/** Begins the way back of a change that an earlier run left, or takes away what is left of a finished one. */
export const returnScript = `
if [ -e ${UNIT_FOLDER}/${BACK_UNIT} ]; then systemctl start --no-block ${BACK_UNIT}; else rm -rf ${CHANGE_FOLDER}; fi
`;
