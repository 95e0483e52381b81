import { must } from "../../lab/exec";
import type { Instance } from "../../lab/instance";
import { hypervisorFolder } from "../../lab/virtualbox/hypervisor";
import { programOf } from "../../lab/virtualbox/service";

/** Runs VBoxManage at the lab's hypervisor, as its owner would. */
export function manage(instance: Instance, ...args: string[]): Promise<string> {
  return must(programOf(hypervisorFolder(instance)), args);
}
