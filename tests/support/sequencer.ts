import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Minutes long: begun last, everything else would be over while they run on. */
const longest = [
  "/tests/platforms/",
  "/tests/setup/",
  "/tests/parity/docker.",
  "/tests/unit/hosts/etcd-cluster.",
  "/tests/parity/engine.",
  "/tests/unit/render/programs/quorum.",
];

/** Runs the longest files first and the others by path: those on a lab begin with one that is being made. */
export default class PathSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = (file: TestSpecification): number => {
      const at = longest.findIndex((part) => file.moduleId.includes(part));
      return at < 0 ? longest.length : at;
    };
    return [...files].sort(
      (one, other) => rank(one) - rank(other) || one.moduleId.localeCompare(other.moduleId),
    );
  }
}
