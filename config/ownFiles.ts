/** That the configuration's own files and units leave the program's alone. */
import { describeNode } from "@moorage/render";
import { programFiles, userDataModel } from "./models";
import type { Problem } from "./problem";
import type { StackConfig } from "./stack";

const nobody = { hostKey: { privateKey: "", publicKey: "" }, authorizedKey: "", passwordHashes: {} };

export function ownFileProblems(config: StackConfig): Problem[] {
  const { files, units } = config.os;
  if (Object.keys(files).length + Object.keys(units).length === 0) return [];
  const taken = takenNames(config);
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

function takenNames(config: StackConfig) {
  const files = new Set(["/etc/hostname", "/etc/hosts", "/etc/localtime"]);
  const units = new Set(["settimezone.service"]);
  const dropIns = new Set<string>();
  for (const name of Object.keys(config.nodes)) {
    const program = programFiles(config, name);
    const installed =
      config.platform === "existing"
        ? { files: [], units: [] }
        : describeNode(userDataModel(config, name, nobody), { installHash: "" });
    [...Object.keys(program.files), ...installed.files.map(({ path }) => path)].forEach((one) =>
      files.add(one),
    );
    for (const [unit, of] of Object.entries(program.units)) {
      for (const dropIn of Object.keys(of.dropIns ?? {})) dropIns.add(`${unit} ${dropIn}`);
    }
    [...Object.keys(program.units), ...installed.units.map((unit) => unit.name)].forEach((one) =>
      units.add(one),
    );
  }
  return { files, units, dropIns };
}
