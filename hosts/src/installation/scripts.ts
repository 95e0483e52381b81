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
busy() { for name in flatcar-install coreos-install; do pgrep -x "$name" || pgrep -f "/$name " || :; done; }
for signal in TERM KILL; do
  for each in $(busy); do kill -s "$signal" "$each" 2>/dev/null || :; done
  for second in 1 2 3 4 5; do [ -z "$(busy)" ] && break; sleep 1; done
done
if [ -n "$(busy)" ]; then echo "an installer that is running already does not end" >&2; return 1; fi
`;

/** `$1` disk. Prints whose it is. */
export const claimScript = `${diskStateFunction}\ndisk_state "$1"`;

/** Reads user data from standard input into a file that only root reads. `$1` hash, `$2` disk. */
export const receiveScript = `umask 077; mkdir -p ${INSTALL_FOLDER}; cd ${INSTALL_FOLDER}; rm -f code pid log; cat > user-data.ign; printf %s "$1" > hash; printf %s "$2" > disk`;

/**
 * Starts the installation so that it outlives this session: one that is cut off is found again by the next run.
 * `$1` disk, `$2` proxy or "", then further arguments of the installer.
 */
export const startScript = `
set -eu
disk=$1 proxy=$2
shift 2
for name in flatcar-install coreos-install; do
  installer=$(command -v "$name") && break || installer=
done
if [ -z "$installer" ]; then echo "neither flatcar-install nor coreos-install is here: is this the live installer?" >&2; return 1; fi
if [ -n "$proxy" ]; then export http_proxy="$proxy" https_proxy="$proxy" HTTP_PROXY="$proxy" HTTPS_PROXY="$proxy"; fi
cd ${INSTALL_FOLDER}
setsid sh -c '"$@" > log 2>&1; echo $? > code.new; mv code.new code' sh \\
  "$installer" -d "$disk" -i ${INSTALL_FOLDER}/user-data.ign "$@" >/dev/null 2>&1 &
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
