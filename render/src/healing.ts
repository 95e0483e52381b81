/** A timer on one storage node that heals what MinIO's drives have missed. */
import { asset } from "./asset";
import type { NodeFiles } from "./model";
import { lines, word } from "./text";
import { renderUnit, unitCommand } from "./unit";

export interface HealingArgs {
  /** Swarm service that is MinIO on this node; its container has `mc`, `sh`, `cat` and `timeout`. */
  readonly service: string;
  /** How many drives the store has. */
  readonly drives: number;
  /** Seconds after which everything is healed again, whatever was seen. */
  readonly everySeconds: number;
  /** Where MinIO finds its root user in its container. */
  readonly rootUserFile: string;
  readonly rootPasswordFile: string;
}

export const healingTimer = "moorage-heal.timer";
const service = "moorage-heal.service";
/** What the timer runs, and what operators and `moorage status` ask. */
export const healingScriptPath = "/etc/moorage/healing/heal.sh";

export function healingFiles(args: HealingArgs): NodeFiles {
  // Both are read each time the timer runs the script.
  const apply = { action: "none" } as const;
  return {
    files: {
      "/etc/moorage/healing/heal.env": { content: settings(args), mode: 0o644, apply },
      [healingScriptPath]: { content: asset("healing/heal.sh"), mode: 0o755, apply },
    },
    units: {
      [service]: {
        content: renderUnit({
          Unit: { Description: "Heals MinIO's objects", After: "docker.service" },
          // MinIO does the work, and yields to its clients by itself.
          Service: {
            Type: "oneshot",
            ExecStart: unitCommand(["/bin/sh", healingScriptPath, "tick"]),
            Nice: 19,
            IOSchedulingClass: "idle",
          },
        }),
        apply,
      },
      [healingTimer]: {
        content: renderUnit({
          Unit: { Description: "Checks MinIO's drives each minute" },
          Timer: { OnCalendar: "minutely", AccuracySec: "1s" },
          Install: { WantedBy: "timers.target" },
        }),
        enabled: true,
      },
    },
  };
}

function settings(args: HealingArgs): string {
  return lines(
    `SERVICE=${word(args.service, "service")}`,
    `DRIVES=${args.drives}`,
    `EVERY_SECONDS=${args.everySeconds}`,
    `ROOT_USER_FILE=${word(args.rootUserFile, "file")}`,
    `ROOT_PASSWORD_FILE=${word(args.rootPasswordFile, "file")}`,
  );
}
