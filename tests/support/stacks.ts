import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";

export const project = path.join(__dirname, "..", "..");

export type RawConfig = Record<string, Record<string, unknown>>;

/** The raw configuration of a stack file of this repository, by subject. */
export function rawStack(name: string): RawConfig {
  const text = fs.readFileSync(path.join(project, `Pulumi.${name}.yaml`), "utf8");
  const { config } = parse(text) as { config: RawConfig };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace("moorage:", ""), value]),
  );
}

/** The lab's stack as it is for machines without a hypervisor, each with a live installer of its own. */
export function machinesStack(): RawConfig {
  const lab = rawStack("dev");
  delete lab.hypervisor;
  const nodes = Object.entries(lab.nodes ?? {}).map(([name, node]) => {
    const { ssh } = node as { ssh: object };
    return [name, { ...(node as object), installer: ssh }];
  });
  return { ...lab, platform: "metal" as never, nodes: Object.fromEntries(nodes) as Record<string, unknown> };
}
