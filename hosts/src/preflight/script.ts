/** The one command that looks at a host: prints `key=value` lines, and changes nothing. */
import { dataDiskFunction } from "../data-claim";
import { diskStateFunction } from "../disk-claim";
import { ETCD_CONTAINER, INSTALL_MARKER } from "../rendered";
import { dataFolderFunction } from "./data-folder";

/** Where a member of the Swarm keeps which cluster it is in; see the Swarm member. */
export const SWARM_MARK = "/etc/moorage/swarm";

/**
 * `$1` interface or "", `$2` system disk or "", `$3` data disk or "", `$4` the data disk's label, `$5` folder for objects or
 * ""; further interfaces follow.
 */
export const preflightScript = `
${diskStateFunction}
${dataDiskFunction}
${dataFolderFunction}
say() { printf '%s=%s\\n' "$1" "$(printf '%s' "$2" | tr '\\n' ' ')"; }
say now "$(date +%s.%N)"
say root "$(id -u)"
say hostname "$(uname -n)"
# Its name, by name or MAC address.
named() {
  case "$1" in
    *:*:*:*:*:*)
      for folder in /sys/class/net/*; do
        if [ "$(tr A-F a-f < "$folder/address")" = "$(printf '%s' "$1" | tr A-F a-f)" ]; then echo "\${folder##*/}"; return 0; fi
      done ;;
  esac
  echo "$1"
}
interface=$(named "$1")
if [ -z "$interface" ]; then
  interface=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
  [ -n "$interface" ] || interface=$(ls /sys/class/net | grep -v -E '^(lo|docker|veth|br-|dummy)' | head -n 1)
fi
say interface "$interface"
if [ -n "$interface" ] && [ -r "/sys/class/net/$interface/mtu" ]; then say mtu "$(cat "/sys/class/net/$interface/mtu")"; fi
if [ -n "$2" ]; then say disk "$(disk_state "$2")"; say disk_real "$(readlink -f -- "$2")"; fi
if [ -n "$2" ]; then say disk_serial "$(disk_serial "$2")"; say disk_data "$(disk_data "$2" "$4")"; say disk_kept "$(disk_kept "$2")"; fi
if [ -n "$3" ]; then data_disk "$3" "$4"; fi
if [ -n "$5" ]; then data_folder "$5"; fi
shift 5
missing=
for wanted do
  # Of the network that the host is in, which the one that /sys was mounted in need not be.
  if ! tr -d ' ' < /proc/net/dev | cut -d : -f 1 | grep -qxF -- "$(named "$wanted")"; then
    missing="$missing $wanted"
  fi
done
say missing_nics "$missing"
say tcp "$(awk '$4 == "0A" { n = split($2, a, ":"); print a[n] }' /proc/net/tcp /proc/net/tcp6 2>/dev/null | sort -u)"
say udp "$(awk 'FNR > 1 { n = split($2, a, ":"); print a[n] }' /proc/net/udp /proc/net/udp6 2>/dev/null | sort -u)"
folder=/var/lib/docker
if command -v docker >/dev/null; then
  say docker_cli yes
  format='{{.ServerVersion}}|{{.Swarm.LocalNodeState}}|{{.Swarm.NodeID}}|{{if .Swarm.Cluster}}{{.Swarm.Cluster.ID}}{{end}}|{{.DockerRootDir}}'
  if info=$(timeout 20 docker info --format "$format" 2>&1); then
    say docker "$info"
    case "$info" in *"|"/*) folder=\${info##*|} ;; esac
    # Ports of the member of etcd that runs here, as it was started: whoever left the Swarm to be installed anew may have it still.
    say etcd "$(timeout 10 docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' ${ETCD_CONTAINER} 2>/dev/null |
      sed -n 's/^ETCD_LISTEN_[A-Z]*_URLS=//p' | tr ',' '\\n' | sed -n 's/.*:\\([0-9][0-9]*\\)$/\\1/p')"
    # Managers alone answer.
    case "$info" in *"|active|"*)
      ids=$(timeout 20 docker service ls -q --filter label=moorage.stack 2>/dev/null) || ids=
      spec='{{.Spec.Name}} {{.Spec.TaskTemplate.ContainerSpec.Image}}'
      if [ -n "$ids" ]; then say services "$(timeout 20 docker service inspect --format "$spec" $ids 2>/dev/null)"; fi ;;
    esac
  else
    # One that is cut off by the clock has said nothing.
    [ -n "$info" ] || info='no answer within 20 s'
    say docker_error "$(printf '%s' "$info" | tail -n 1)"
  fi
fi
say mark "$(cat ${SWARM_MARK} 2>/dev/null)"
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
say docker_folder "$folder"
say free_mib "$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')"
say install "$(cat ${INSTALL_MARKER} 2>/dev/null)"
say end yes
`;
