import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Runs files by path: the tests on the lab build on each other's lab, and start with its first update. */
export default class PathSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return [...files].sort((one, other) => one.moduleId.localeCompare(other.moduleId));
  }
}
