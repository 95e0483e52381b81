/** Shell scripts run on a node's live installer. */
import { INSTALL_FOLDER, diskStateFunction } from "../disk-claim";

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
if [ -n "$pid" ]; then kill -TERM -- "-$pid" 2>/dev/null || :; fi
busy() { for name in flatcar-install coreos-install coreos-installer; do pgrep -x "$name" || pgrep -f "/$name " || :; done; }
for signal in TERM KILL; do
  for each in $(busy); do kill -s "$signal" "$each" 2>/dev/null || :; done
  for second in 1 2 3 4 5; do [ -z "$(busy)" ] && break; sleep 1; done
done
if [ -n "$(busy)" ]; then echo "an installer that is running already does not end" >&2; return 1; fi
`;

/** `$1` disk. Prints whose it is. */
export const claimScript = `${diskStateFunction}\ndisk_state "$1"`;

/** Reads user data from standard input into a file that only root reads. `$1` hash, `$2` disk, `$3` the file's name. */
export const receiveScript = `umask 077; mkdir -p ${INSTALL_FOLDER}; cd ${INSTALL_FOLDER}; rm -f code pid log user-data.*; cat > "$3"; printf %s "$1" > hash; printf %s "$2" > disk`;

/** Name of the user data's file, by its format. */
export const userDataFile = { ignition: "user-data.ign", "cloud-config": "user-data.yml" } as const;

/**
 * Starts the installation so that it outlives this session: one that is cut off is found again by the next run.
 * `$1` disk, `$2` proxy or "", `$3` ignition or cloud-config, `$4` channel or "", `$5` version or "".
 */
export const startScript = `
set -eu
disk=$1 proxy=$2 format=$3 channel=$4 version=$5
for name in flatcar-install coreos-install coreos-installer; do
  installer=$(command -v "$name") && break || installer=
done
if [ -z "$installer" ]; then
  echo "none of flatcar-install, coreos-install and coreos-installer is here: is this the live installer?" >&2; return 1
fi
if [ -n "$proxy" ]; then export http_proxy="$proxy" https_proxy="$proxy" HTTP_PROXY="$proxy" HTTPS_PROXY="$proxy"; fi
cd ${INSTALL_FOLDER}
case "$name $format" in
  "coreos-installer ignition")
    set -- install --ignition-file ${INSTALL_FOLDER}/${userDataFile.ignition} \${channel:+--stream "$channel"} "$disk" ;;
  coreos-installer*)
    echo "this live system installs Fedora CoreOS, which has no cloud-config: boot the one of the distribution" >&2; return 1 ;;
  *" ignition")
    set -- -d "$disk" -i ${INSTALL_FOLDER}/${userDataFile.ignition} \${channel:+-C "$channel"} \${version:+-V "$version"} ;;
  *)
    set -- -d "$disk" -c ${INSTALL_FOLDER}/${userDataFile["cloud-config"]} \${channel:+-C "$channel"} \${version:+-V "$version"} ;;
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
