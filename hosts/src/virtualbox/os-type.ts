/** The type that VirtualBox takes a guest for. */
import type { Manage } from "./manage";
import type { VmInfo } from "./parse";
import { parseOsTypes } from "./parse";

/** 64-bit Linux: what a type is chooses defaults, all of which that matter are set, and whether a guest may have 64 bits. */
export const OS_TYPE = "Linux26_64";

/** The guest's type where it is another one. It is told in words, which each version has its own of. */
export async function otherOsType(manage: Manage, info: VmInfo): Promise<{ osType?: string }> {
  const found = info.get("ostype");
  if (found === undefined || found === OS_TYPE) return {};
  const ours = parseOsTypes(await manage.osTypes()).get(OS_TYPE);
  return ours === undefined || ours === found ? {} : { osType: found };
}
