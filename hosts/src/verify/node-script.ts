/** One look at a node, by one script that changes nothing. */
import { HEALING_SCRIPT } from "../rendered";

/** Lines of the journal that are shown for a unit in trouble. */
const JOURNAL_LINES = 6;

/** Certificates of ours on a node. */
export const certificateFiles = ["/etc/docker/tls/cert.pem", "/etc/moorage/etcd/member.pem"];

/** `$1` name of the overlay network; units follow. Prints `key=value` lines. */
export const nodeScript = `
say() { printf '%s=%s\\n' "$1" "$2"; }
say now "$(date +%s.%N)"
network=$1
shift
for unit do
  # Its properties come in an order of systemd's own.
  Type= ActiveState= SubState= Result= NRestarts=0
  properties=$(systemctl show "$unit" -p Type -p ActiveState -p SubState -p Result -p NRestarts 2>/dev/null || :)
  for line in $properties; do
    case "$line" in
      Type=*) Type=\${line#*=} ;;
      ActiveState=*) ActiveState=\${line#*=} ;; SubState=*) SubState=\${line#*=} ;;
      Result=*) Result=\${line#*=} ;; NRestarts=*) NRestarts=\${line#*=} ;;
    esac
  done
  say unit "$unit \${ActiveState:-unknown} \${SubState:-unknown} \${Result:-unknown} $NRestarts $Type"
  journalctl -b -n ${JOURNAL_LINES} --no-pager -o cat -u "$unit" 2>/dev/null | sed "s|^|journal=$unit |" || :
done
format='{{.ServerVersion}} {{.Swarm.LocalNodeState}}'
say docker "$(timeout 10 docker info --format "$format" 2>/dev/null || :)"
say overlay "$(timeout 10 docker network inspect "$network" --format '{{json .}}' 2>/dev/null || :)"
for file in ${certificateFiles.join(" ")}; do
  if [ -f "$file" ]; then say certificate "$file $(base64 -w 0 < "$file")"; fi
done
if [ -f ${HEALING_SCRIPT} ]; then sh ${HEALING_SCRIPT} status 2>/dev/null | sed 's/^/healing=/' || :; fi
say end yes
`;
