import { groupOf } from "../../lab/faults/cgroups";
import { setFrozen } from "../../lab/faults/freezer";
import type { TestLab } from "./testLab";

/** A fault of one host that can be taken back. */
export interface Fault {
  readonly begin: (lab: TestLab, node: string) => Promise<unknown>;
  readonly end: (lab: TestLab, node: string) => Promise<unknown>;
}

const shell = (begin: string, end: string): Fault => ({
  begin: (lab, node) => lab.mustRoot(node, begin),
  end: (lab, node) => lab.mustRoot(node, end),
});

const hostKey = "/etc/ssh/ssh_host_ed25519_key";

/** The host knows another key than the program's. */
export const wrongKey = shell(
  "mv /home/core/.ssh /home/core/.ssh-away",
  "rm -rf /home/core/.ssh && mv /home/core/.ssh-away /home/core/.ssh",
);

export const changedHostKey = shell(
  `mkdir /root/key && mv ${hostKey} ${hostKey}.pub /root/key/ && ssh-keygen -q -t ed25519 -N '' -f ${hostKey} && systemctl restart ssh`,
  `mv /root/key/* /etc/ssh/ && rmdir /root/key && systemctl restart ssh`,
);

/** The system disk is full, also for root. */
export const fullDisk = shell(
  "{ fallocate -l 100G /full || cat /dev/zero > /full2; } 2>/dev/null; ! echo more > /full3",
  "rm -f /full /full2 /full3",
);

export const dockerStopped = shell(
  "systemctl stop docker.socket docker.service 2>&1",
  "systemctl start docker.socket docker.service",
);

/** All processes stop. The kernel still accepts connections, and nothing answers. */
export const hanging: Fault = {
  begin: (lab, node) => freeze(lab, node, true),
  end: (lab, node) => freeze(lab, node, false),
};

function freeze(lab: TestLab, node: string, on: boolean): Promise<void> {
  setFrozen(groupOf({ instance: lab.instance, host: lab.host(node) }, "freezer"), on);
  return Promise.resolve();
}
