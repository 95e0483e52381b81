/** `fault HOST FAULT [WHAT]` and `mend HOST FAULT`, as they are typed. */
import { LabError } from "../exec";
import { hostNamed, type Instance } from "../instance";
import { faultNamed, mend, type Fault } from "./index";

export interface FaultWork {
  /** What is so once it is done. */
  readonly done: string;
  readonly work: () => Promise<unknown>;
}

/** @throws LabError where the words name no host or fault, or say more than that fault takes */
export function faultWork(
  verb: "fault" | "mend",
  instance: Instance,
  [name, fault, ...more]: readonly string[],
): FaultWork {
  const place = { instance, host: hostNamed(instance, name) };
  const { begin, choices }: Fault = faultNamed(fault);
  const [choice, tooMany] = verb === "fault" && choices !== undefined ? more : [undefined, more[0]];
  if (tooMany !== undefined) throw new LabError(`"${tooMany}" is too much: ${verb} ${fault} takes no more`);
  const done = `${place.host.name} ${fault}`;
  return verb === "fault"
    ? { done: `${done} done`, work: () => begin(place, choice) }
    : { done: `${done} taken back`, work: () => mend(place, fault) };
}
