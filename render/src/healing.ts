/** The unit that keeps MinIO's redundancy, on one of the storage nodes. */
import { renderHealingScript, type HealingScriptArgs } from "./healing-script";
import type { NodeFiles } from "./model";
import { besideDocker, renderUnit, unitCommand } from "./unit";

export type HealingFilesArgs = Pick<
  HealingScriptArgs,
  "service" | "drives" | "everySeconds" | "rootUserFile" | "rootPasswordFile"
>;

export const healingUnit = "moorage-healing.service";
/** What the unit runs, and what an operator and a verification ask. */
export const healingScriptPath = "/etc/moorage/healing";

export function healingFiles(args: HealingFilesArgs): NodeFiles {
  return {
    files: {
      [healingScriptPath]: {
        content: renderHealingScript(args),
        mode: 0o755,
        apply: { action: "restart", unit: healingUnit },
      },
    },
    units: { [healingUnit]: { content: serviceUnit(), enabled: true } },
  };
}

function serviceUnit(): string {
  return renderUnit({
    Unit: {
      Description: "Heals MinIO's objects once a drive that was away is back",
      ...besideDocker,
    },
    Service: {
      // The work is MinIO's, which gives way to its clients by itself.
      Nice: 19,
      IOSchedulingClass: "idle",
      ExecStart: unitCommand(["/bin/sh", healingScriptPath, "watch"]),
      Restart: "always",
      RestartSec: 5,
    },
    Install: { WantedBy: "multi-user.target docker.service" },
  });
}
