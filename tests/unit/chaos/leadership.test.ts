import { expect, test } from "vitest";
import type { Place } from "../../../lab/faults/place";
import { describeInstance } from "../../../lab/instance";
import { passLeadership } from "../../chaos/leadership";

const instance = describeInstance(3);
const managers: Place[] = instance.hosts.slice(0, 3).map((host) => ({ instance, host }));

/** Managers who choose another leader once they have been asked so often, if they do at all. */
function swarm(turns: number) {
  const said: string[] = [];
  let asked = 0;
  const shell = ({ host }: Place, line: string) => {
    said.push(`${host.name}: ${line.split(" ").slice(0, 3).join(" ")}`);
    const none = line.includes("promote") && said.filter((one) => one.includes("promote")).length === 1;
    const output = none ? "The swarm does not have a leader" : line.includes("inspect") ? "reachable\n" : "";
    return Promise.resolve({ code: none ? 1 : 0, stdout: output, output });
  };
  const leader = () => Promise.resolve(asked++ < turns ? "coreos1" : "coreos3");
  return { said, shell, leader, patienceMs: 2000 };
}

test("Swarm's leader passes the leadership on, and is a manager afterwards", async () => {
  const swarming = swarm(1);
  await passLeadership(managers, "coreos1", swarming);
  expect(swarming.said).toEqual([
    "coreos2: docker node demote",
    "coreos2: docker node promote",
    "coreos2: docker node promote",
    "coreos2: docker node inspect",
  ]);
});

test("it is a manager again also where nobody else becomes the leader, which is told", async () => {
  const swarming = swarm(Infinity);
  const passing = passLeadership(managers, "coreos1", { ...swarming, patienceMs: 500 });
  await expect(passing).rejects.toThrow(/^coreos1 still leads the Swarm, or nobody does/);
  expect(swarming.said.at(-1)).toBe("coreos2: docker node promote");
});

test("without another manager there is nobody to lead", async () => {
  await expect(passLeadership(managers.slice(0, 1), "coreos1", swarm(0))).rejects.toThrow(/no other manager/);
});
