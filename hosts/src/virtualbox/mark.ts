/** Whose a guest or a network is: a key of ours in VirtualBox's extra data, with the stack. */
import { HostError } from "../errors";
import type { Manage } from "./manage";
import { parseExtraData } from "./parse";

/** On a guest: its stack. */
export const STACK_KEY = "moorage/stack";
/** On a guest: `installing` until its system disk is installed, then `installed`. */
export const PHASE_KEY = "moorage/phase";

/** On a guest: what an update has switched it off for, until that has started it again. */
export const OFF_KEY = "moorage/off-for";

/** Networks have no extra data of their own; theirs is VirtualBox's. */
export const networkKey = (name: string): string => `moorage/natnetwork/${name}`;

/** `target` is a guest, or `global`. */
export async function readMark(manage: Manage, target: string, key: string): Promise<string | undefined> {
  return parseExtraData(
    await manage.run(["getextradata", target, key], { purpose: `reading ${key} of ${target}` }),
  );
}

/** Without a value the key goes away. */
export async function writeMark(manage: Manage, target: string, key: string, value?: string): Promise<void> {
  await manage.run(["setextradata", target, key, ...(value === undefined ? [] : [value])], {
    purpose: `marking ${target}`,
  });
}

/** Refuses what nobody marked, or another stack. */
export function notOurs(
  manage: Manage,
  what: string,
  name: string,
  mark: { readonly target: string; readonly key: string; readonly stack: string },
  owner: string | undefined,
): HostError {
  const whose = owner === undefined ? "and nothing says that this stack made it" : `of stack ${owner}`;
  const rename =
    what === "guest"
      ? `\`VBoxManage modifyvm ${name} --name OTHER\`, or give the node another name`
      : "give the network another name in hypervisor.network.name";
  return new HostError(
    manage.name,
    `there is a ${what} ${name} already, ${whose}. It is left as it is. To adopt it: ` +
      `\`VBoxManage setextradata ${mark.target} ${mark.key} ${mark.stack}\` there. To keep it: ${rename}`,
  );
}
