/** Shell scripts run on a node's live installer. */
import type { InstallerProxies } from "../contract";
import { DATA_LABEL, INSTALL_FOLDER, diskStateFunction } from "../disk-claim";
import { quote } from "../ssh/quote";

/** Prints `state`: `idle`, `running HASH`, `done HASH CODE`. */
export const stateScript = `
cd ${INSTALL_FOLDER} 2>/dev/null || { echo idle; return 0; }
hash=$(cat hash 2>/dev/null || :)
if [ -f code ]; then echo "done $hash $(cat code)"; return 0; fi
pid=$(cat pid 2>/dev/null || :)
if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then echo "running $hash"; return 0; fi
echo idle
`;

/** Ends an installation begun with other settings, whoever started it, and whatever a killed one left running. */
export const stopScript = `
pid=$(cat ${INSTALL_FOLDER}/pid 2>/dev/null || :)
if [ -n "$pid" ]; then kill -s TERM -- "-$pid" 2>/dev/null || :; fi
busy() { for name in flatcar-install coreos-install coreos-installer; do pgrep -x "$name" || pgrep -f "/$name " || :; done; }
for signal in TERM KILL; do
  for each in $(busy); do kill -s "$signal" "$each" 2>/dev/null || :; done
  for second in 1 2 3 4 5; do [ -z "$(busy)" ] && break; sleep 1; done
done
if [ -n "$(busy)" ]; then echo "an installer that is running already does not end" >&2; return 1; fi
`;

/** `$1` disk. Prints `key=value` lines: what it is there, whose, its serial number, its data, and why it is not to be erased. */
export const claimScript = `${diskStateFunction}
echo "real=$(readlink -f -- "$1")"
printf 'state=%s\\n' "$(disk_state "$1")"
echo "serial=$(disk_serial "$1")"
echo "data=$(disk_data "$1" ${DATA_LABEL})"
echo "kept=$(disk_kept "$1")"
`;

/**
 * Erases a disk, its partitions first, so that nothing of theirs is found again inside of what is written next.
 * `$1` disk, `$2` its serial number: device names move, and this is the last look.
 */
export const eraseScript = `${diskStateFunction}
set -eu
if [ "$(disk_serial "$1")" != "$2" ]; then echo "$1 is another disk now than the one with serial number $2" >&2; return 1; fi
real=$(readlink -f -- "$1")
for part in $(disk_parts "$real" | sort -r); do wipefs -q -a -- "$part" >&2; done
`;

/** Reads user data from standard input into a file that only root reads. `$1` hash, `$2` disk, `$3` the file's name, `$4` the mark. */
export const receiveScript = `umask 077; mkdir -p ${INSTALL_FOLDER}; cd ${INSTALL_FOLDER}; rm -f code pid log environment user-data.*; cat > "$3"; printf %s "$1" > hash; printf %s "$4" > mark; printf %s "$2" > disk`;

/** Reads the installer's environment the same way: a proxy's address may hold a password. */
export const environmentScript = `umask 077; cat > ${INSTALL_FOLDER}/environment`;

/** In both letter cases: wget reads the lower one only, others look for either. */
export function proxyEnvironment({ http, https, none }: InstallerProxies): string {
  const values = { http_proxy: http, https_proxy: https, no_proxy: none.join(",") };
  return Object.entries(values)
    .filter(([, value]) => value !== undefined && value !== "")
    .flatMap(([name, value = ""]) =>
      [name, name.toUpperCase()].map((key) => `export ${key}=${quote(value)}\n`),
    )
    .join("");
}

/** Name of the user data's file, by its format. */
export const userDataFile = { ignition: "user-data.ign", "cloud-config": "user-data.yml" } as const;

/** Sets `name` and `installer` to what installs from here, and fails where nothing does, or not by `$format`. */
const findInstaller = `
for name in flatcar-install coreos-install coreos-installer; do
  installer=$(command -v "$name") && break || installer=
done
if [ -z "$installer" ]; then
  echo "none of flatcar-install, coreos-install and coreos-installer is here: this is no live installer. Boot the distribution's own there, and run again" >&2
  return 1
fi
case "$name $format" in "coreos-installer cloud-config")
  echo "this live system installs Fedora CoreOS, which has no cloud-config: boot the one of the distribution" >&2; return 1 ;;
esac`;

/** For before anything is erased. `$1` ignition or cloud-config. */
export const installerScript = `format=$1
${findInstaller}`;

/**
 * Starts the installation so that it outlives this session: one that is cut off is found again by the next run.
 * `$1` disk, `$2` ignition or cloud-config, `$3` channel or "", `$4` version or "", `$5` the image's file there or "".
 * An image in a file was checked by its checksum; Flatcar's installer asks for no signature then, and Fedora's is told.
 */
export const startScript = `
set -eu
disk=$1 format=$2 channel=$3 version=$4 image=$5
${findInstaller}
cd ${INSTALL_FOLDER}
if [ -f environment ]; then . ./environment; fi
if [ -n "$image" ]; then channel= version=; fi
case "$name $format" in
  "coreos-installer ignition")
    set -- install --ignition-file ${INSTALL_FOLDER}/${userDataFile.ignition} \${channel:+--stream "$channel"} \${image:+--image-file "$image" --insecure} "$disk" ;;
  *" ignition")
    set -- -d "$disk" -i ${INSTALL_FOLDER}/${userDataFile.ignition} \${channel:+-C "$channel"} \${version:+-V "$version"} \${image:+-f "$image"} ;;
  *)
    set -- -d "$disk" -c ${INSTALL_FOLDER}/${userDataFile["cloud-config"]} \${channel:+-C "$channel"} \${version:+-V "$version"} \${image:+-f "$image"} ;;
esac
setsid sh -c '"$@" > log 2>&1; echo $? > code.new; mv code.new code' sh "$installer" "$@" >/dev/null 2>&1 &
echo $! > pid
`;

/** `$1` how many bytes of the log are known. Prints the exit code or "running", then what is new in the log. */
export const progressScript = `
cd ${INSTALL_FOLDER}
code=running
if [ -f code ]; then code=$(cat code)
elif ! kill -0 "$(cat pid)" 2>/dev/null; then sleep 1; code=$(cat code 2>/dev/null || echo killed)
fi
echo "$code"
tail -c "+$(($1 + 1))" log 2>/dev/null || :
`;
