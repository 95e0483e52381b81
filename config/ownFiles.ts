/** That the configuration's own files and units leave the program's alone. */
import { describeNode } from "@moorage/render";
import { programFiles, userDataModel } from "./models";
import type { Problem } from "./problem";
import type { StackConfig } from "./stack";

const nobody = { hostKey: { privateKey: "", publicKey: "" }, authorizedKey: "", passwordHashes: {} };

/** @param isSketch of a configuration that has other mistakes, by which some nodes cannot be rendered */
export function ownFileProblems(config: StackConfig, isSketch = false): Problem[] {
  const { files, units } = config.os;
  if (Object.keys(files).length + Object.keys(units).length === 0) return [];
  const taken = takenNames(config, isSketch);
  return [
    ...Object.keys(files)
      .filter((path) => taken.files.has(path) || path.startsWith("/etc/moorage/"))
      .map((path) => ({
        path: `os.files.${path}`,
        found: "a file that the program writes itself",
        wanted: "another path, or the key of the configuration that the file is made from",
      })),
    ...Object.entries(units)
      .filter(([name, unit]) => {
        const isOurs = taken.units.has(name) || name.startsWith("moorage");
        return isOurs && (unit.content !== undefined || unit.enabled !== undefined);
      })
      .map(([name]) => ({
        path: `os.units.${name}`,
        found: "a unit that the program writes itself",
        wanted: "another name, or drop-ins alone",
      })),
    ...Object.entries(units).flatMap(([name, { dropIns }]) =>
      Object.keys(dropIns)
        .filter((dropIn) => taken.dropIns.has(`${name} ${dropIn}`))
        .map((dropIn) => ({
          path: `os.units.${name}.dropIns.${dropIn}`,
          found: "a drop-in that the program writes itself",
          wanted: "another name",
        })),
    ),
  ];
}

function takenNames(config: StackConfig, isSketch: boolean) {
  const files = new Set(["/etc/hostname", "/etc/hosts", "/etc/localtime"]);
  const units = new Set(["settimezone.service"]);
  const dropIns = new Set<string>();
  for (const name of Object.keys(config.nodes)) {
    const made = madeOn(name, config, isSketch);
    made.files.forEach((one) => files.add(one));
    made.units.forEach((one) => units.add(one));
    made.dropIns.forEach((one) => dropIns.add(one));
  }
  return { files, units, dropIns };
}

/** Names of all that the program makes on a node. */
function madeOn(name: string, config: StackConfig, isSketch: boolean) {
  try {
    const program = programFiles(config, name);
    const installed =
      config.platform === "existing"
        ? { files: [], units: [] }
        : describeNode(userDataModel(config, name, nobody), { installHash: "" });
    return {
      files: [...Object.keys(program.files), ...installed.files.map(({ path }) => path)],
      units: [...Object.keys(program.units), ...installed.units.map((unit) => unit.name)],
      dropIns: Object.entries(program.units).flatMap(([unit, { dropIns = {} }]) =>
        Object.keys(dropIns).map((dropIn) => `${unit} ${dropIn}`),
      ),
    };
  } catch (error) {
    // Why it cannot be rendered is told already.
    if (isSketch) return { files: [], units: [], dropIns: [] };
    throw error;
  }
}
