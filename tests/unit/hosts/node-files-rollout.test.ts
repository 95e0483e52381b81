import { setTimeout as sleep } from "node:timers/promises";
import type { NodeFilesInputs } from "@moorage/hosts";
import { describe, expect, it } from "vitest";
import { HostError } from "../../../hosts/src/errors";
import { rolled } from "../../../hosts/src/node-files/rollout";
import { logged } from "./support/stop";

/** A part with a unit that is restarted for its text, and a file that is reloaded. */
function part(name: string, node: string, unit: string, file = "same"): NodeFilesInputs {
  return {
    connection: { node, host: node, port: 22, user: "core", hostKey: "" },
    part: name,
    rolled: true,
    files: { "/etc/file": { content: file, mode: 0o644, apply: { action: "reload", unit: "a.service" } } },
    units: { "a.service": { content: unit, enabled: true } },
  };
}

/** Notes what is done, and fails for a unit's text `broken`. */
class Hosts {
  readonly done: string[] = [];
  readonly given: NodeFilesInputs[] = [];
  private busy = 0;
  most = 0;
  readonly ensure = async (inputs: NodeFilesInputs): Promise<NodeFilesInputs> => {
    const { node } = inputs.connection;
    this.most = Math.max(this.most, ++this.busy);
    await sleep(5);
    this.busy -= 1;
    const text = inputs.units["a.service"]?.content ?? "";
    this.done.push(`${node} ${text}`);
    this.given.push(inputs);
    if (text === "broken") throw new HostError(node, "it does not start");
    return inputs;
  };
}

const nodes = ["n1", "n2", "n3"];

describe("a part that is rolled", () => {
  it("is restarted on one node at a time", async () => {
    const hosts = new Hosts();
    await Promise.all(
      nodes.map((node) => rolled(part("one", node, "new"), part("one", node, "old"), hosts.ensure)),
    );
    expect(hosts.done).toEqual(["n1 new", "n2 new", "n3 new"]);
    expect(hosts.most).toBe(1);
  });

  it("is reloaded on all at once", async () => {
    const hosts = new Hosts();
    await Promise.all(
      nodes.map((node) => rolled(part("two", node, "old", "new"), part("two", node, "old"), hosts.ensure)),
    );
    expect(hosts.most).toBe(3);
  });

  it("goes back on the first node where it does not work, and is left as it is on the others", async () => {
    const hosts = new Hosts();
    const ends = await Promise.allSettled(
      nodes.map((node) => rolled(part("three", node, "broken"), part("three", node, "old"), hosts.ensure)),
    );
    expect(hosts.done).toEqual(["n1 broken", "n1 old"]);
    expect(
      ends.map((end) => (end.status === "rejected" ? String((end.reason as Error).message) : "")),
    ).toEqual([
      "n1: went back to what it had before: it does not start",
      "n2: three is left as it is, as what was changed does not work on n1",
      "n3: three is left as it is, as what was changed does not work on n1",
    ]);
    expect(logged.join()).toContain("going back");
  });

  it("goes back to a unit that is to run where a refresh has found it stopped", async () => {
    const hosts = new Hosts();
    const before = part("five", "n1", "old");
    const stopped = { ...before, units: { "a.service": { content: "old", enabled: "partly" as const } } };
    await expect(rolled(part("five", "n1", "broken"), stopped, hosts.ensure)).rejects.toThrow("went back");
    expect(hosts.given.at(-1)?.units).toEqual(before.units);
  });

  it("says so where what was there before does not work either", async () => {
    const hosts = new Hosts();
    const both = part("four", "n1", "broken");
    await expect(rolled({ ...both, files: {} }, both, hosts.ensure)).rejects.toThrow("n1: it does not start");
  });
});
