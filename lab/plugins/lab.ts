import * as path from "node:path";
import { LabError } from "../exec";
import { labRoot } from "../instance";

/** The backend, besides the lab's own, that the stand-ins work for: tests name theirs here. */
const consent = "MOORAGE_STAND_INS_FOR";

/** Only a stack whose state lies in a lab's folder is the lab's. @throws for any other */
export function refuseOtherStacks(urn: string): void {
  const backend = process.env.PULUMI_BACKEND_URL ?? "";
  if (backend !== "" && backend === process.env[consent]) return;
  const folder = /^file:\/\/(\/.*)$/.exec(backend)?.[1];
  if (folder !== undefined && path.resolve(folder).startsWith(`${path.resolve(labRoot())}/`)) return;
  throw new LabError(
    `stack ${urn.split("::")[0]?.split(":").at(-1)} is none of the lab's, and the lab's stand-ins for provider plugins work for no other: install the published plugins (docs/toolchain.md)`,
  );
}
