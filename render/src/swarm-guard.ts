/** The unit that has a node register anew which the Swarm counts as down for good, though it is connected. */
import type { NodeFiles } from "./model";
import { lines } from "./text";
import { besideDocker, renderUnit, unitCommand } from "./unit";

const unit = "moorage-swarm-guard.service";
const path = "/etc/moorage/swarm-guard";
/** Of Swarm's managers, for agents and for each other. */
const port = 2377;

/**
 * After a change of leader a node that nothing was heard of is counted as down after half a minute. One that registers
 * within the tenth of a second before that is counted as down afterwards: both are written at once, in that order, and
 * its heartbeats, which arrive, change nothing any more (seen with Docker 26.1, in SwarmKit's dispatcher). It gets no
 * task until its session ends. So whichever manager holds the connection ends it; the agent registers anew at once.
 */
export function renderSwarmGuard(): string {
  return lines(
    "#!/bin/bash",
    "# On a manager: ends the connection of a node that the Swarm counts as down for longer than a minute, and that is",
    "# connected here all the while. Its agent registers anew then, and is counted as ready.",
    "set -u",
    `port=${port}`,
    "# In seconds, and how many looks in a row.",
    "interval=20 limit=4",
    "",
    "# Each node that is down, with its address, a line each; nothing where there is no leader to ask.",
    "down() {",
    "    local ids",
    "    ids=$(timeout 10 docker node ls --format '{{.Status}} {{.ID}}' 2>/dev/null | sed -n 's/^Down //p')",
    "    [ -z \"$ids\" ] || timeout 10 docker node inspect --format '{{.Description.Hostname}} {{.Status.Addr}}' $ids 2>/dev/null",
    "}",
    'connected() { [ -n "$(ss -Htn state established sport = ":$port" dst "$1")" ]; }',
    "",
    "# Those that were connected at the last look, and at how many before it.",
    "declare -A looks=()",
    "while :; do",
    "    declare -A now=()",
    "    while read -r name address; do",
    '        connected "$address" || continue',
    "        now[$name]=$((${looks[$name]:-0} + 1))",
    '        [ "${now[$name]}" -ge "$limit" ] || continue',
    '        ss -K -tn sport = ":$port" dst "$address" > /dev/null',
    '        echo "$name is connected, and the Swarm counts it as down: it has to register anew"',
    "        now[$name]=0",
    "    done < <(down)",
    "    looks=()",
    '    for name in "${!now[@]}"; do looks[$name]=${now[$name]}; done',
    "    unset now",
    '    sleep "$interval"',
    "done",
  );
}

export function swarmGuardFiles(): NodeFiles {
  return {
    files: {
      [path]: {
        content: renderSwarmGuard(),
        mode: 0o755,
        apply: { action: "restart", unit },
      },
    },
    units: { [unit]: { content: serviceUnit(), enabled: true } },
  };
}

function serviceUnit(): string {
  return renderUnit({
    Unit: {
      Description: "Has a node register anew that the Swarm counts as down though it is connected",
      ...besideDocker,
    },
    Service: {
      ExecStart: unitCommand(["/bin/bash", path]),
      Restart: "always",
      RestartSec: 5,
    },
    Install: { WantedBy: "multi-user.target docker.service" },
  });
}
