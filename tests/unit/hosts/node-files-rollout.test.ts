import { setTimeout as sleep } from "node:timers/promises";
import type { NodeFilesInputs } from "@moorage/hosts";
import { describe, expect, it } from "vitest";
import { HostError } from "../../../hosts/src/errors";
import { rolled } from "../../../hosts/src/node-files/rollout";
import { logged } from "./support/stop";

const nodes = ["n1", "n2", "n3"];

interface Texts {
  readonly unit: string;
  readonly file?: string;
  readonly agreed?: string;
}

/** A part with a unit that is restarted for its text, and two files that it reads anew; nodes agree on one of them. */
function part(name: string, node: string, { unit, file = "same", agreed = "same" }: Texts): NodeFilesInputs {
  const read = (content: string) =>
    ({ content, mode: 0o644, apply: { action: "reload", unit: "a.service" } }) as const;
  return {
    connection: { node, host: node, port: 22, user: "core", hostKey: "" },
    part: name,
    rolled: true,
    files: { "/etc/file": read(file), "/etc/agreed": { ...read(agreed), agreed: true } },
    units: { "a.service": { content: unit, enabled: true } },
  };
}

/** Notes what is done, and fails where a text is `broken`. */
class Hosts {
  readonly done: string[] = [];
  readonly given: NodeFilesInputs[] = [];
  private busy = 0;
  most = 0;
  readonly ensure = async (inputs: NodeFilesInputs): Promise<NodeFilesInputs> => {
    const { node } = inputs.connection;
    this.most = Math.max(this.most, ++this.busy);
    // The later node takes longer.
    await sleep(5 * nodes.indexOf(node) + 5);
    this.busy -= 1;
    const files = ["/etc/file", "/etc/agreed"].map((path) => inputs.files[path]?.content ?? "");
    const texts = [inputs.units["a.service"]?.content ?? "", ...files];
    this.done.push(`${node} ${texts.filter((text) => text !== "same").join(" ")}`);
    this.given.push(inputs);
    if (texts.includes("broken")) throw new HostError(node, "it does not start");
    return inputs;
  };
}

/** Changes the part on all nodes, as an update does: side by side. */
function changed(
  hosts: Hosts,
  name: string,
  from: Texts,
  to: Texts,
): Promise<PromiseSettledResult<unknown>[]> {
  const one = (node: string) =>
    rolled(`${node}/${name}`, part(name, node, to), part(name, node, from), hosts.ensure);
  return Promise.allSettled(nodes.map(one));
}

const messages = (ends: readonly PromiseSettledResult<unknown>[]): string[] =>
  ends.map((end) => (end.status === "rejected" ? String((end.reason as Error).message) : ""));

describe("a part that is rolled", () => {
  it.each([
    ["restarted", "one", { unit: "old" }, { unit: "new" }, ["n1 new", "n2 new", "n3 new"]],
    ["reloaded", "two", { unit: "u" }, { unit: "u", file: "new" }, ["n1 u new", "n2 u new", "n3 u new"]],
  ])("is %s on one node at a time", async (_, name, from, to, done) => {
    const hosts = new Hosts();
    expect(messages(await changed(hosts, name, from, to))).toEqual(["", "", ""]);
    expect(hosts.done).toEqual(done);
    expect(hosts.most).toBe(1);
  });

  it("has what nodes agree on at once, before the rest comes to one after the other", async () => {
    const hosts = new Hosts();
    const from = { unit: "u", file: "f1", agreed: "a1" };
    expect(messages(await changed(hosts, "six", from, { unit: "u", file: "f2", agreed: "a2" }))).toEqual([
      "",
      "",
      "",
    ]);
    const both = ["u f1 a2", "u f2 a2"].flatMap((texts) => nodes.map((node) => `${node} ${texts}`));
    expect(hosts.done).toEqual(both);
    expect(hosts.most).toBe(3);
  });

  it("has it at once where nothing else changes, too", async () => {
    const hosts = new Hosts();
    const from = { unit: "u", agreed: "a1" };
    expect(messages(await changed(hosts, "seven", from, { unit: "u", agreed: "a2" }))).toEqual(["", "", ""]);
    expect(new Set(hosts.done)).toEqual(new Set(nodes.map((node) => `${node} u a2`)));
    expect(hosts.most).toBe(3);
  });

  it("keeps that where the rest goes back, and records it", async () => {
    const hosts = new Hosts();
    const ends = await changed(
      hosts,
      "eight",
      { unit: "u", file: "f1", agreed: "a1" },
      { unit: "u", file: "broken", agreed: "a2" },
    );
    expect(hosts.done.slice(3)).toEqual(["n1 u broken a2", "n1 u f1 a2"]);
    expect(messages(ends)).toEqual([
      "n1: went back to what it had before: it does not start",
      "n2: eight is left as it is, as what was changed does not work on n1",
      "n3: eight is left as it is, as what was changed does not work on n1",
    ]);
    for (const [at, end] of ends.entries()) {
      const node = nodes[at] ?? "";
      const properties = part("eight", node, { unit: "u", file: "f1", agreed: "a2" });
      expect(end).toMatchObject({ status: "rejected", reason: { id: `${node}/eight`, properties } });
    }
  });

  it("goes back on each node where what they agree on does not work, and leaves the rest as it is", async () => {
    const hosts = new Hosts();
    const ends = await changed(
      hosts,
      "nine",
      { unit: "u", file: "f1", agreed: "a1" },
      { unit: "u", file: "f2", agreed: "broken" },
    );
    const both = ["u f1 broken", "u f1 a1"].flatMap((texts) => nodes.map((node) => `${node} ${texts}`));
    expect([...hosts.done].sort()).toEqual(both.sort());
    expect(messages(ends)).toEqual(
      nodes.map((node) => `${node}: went back to what it had before: it does not start`),
    );
  });

  it("goes back on the first node where it does not work, and is left as it is on the others", async () => {
    const hosts = new Hosts();
    const ends = await changed(hosts, "three", { unit: "old" }, { unit: "broken" });
    expect(hosts.done).toEqual(["n1 broken", "n1 old"]);
    expect(messages(ends)).toEqual([
      "n1: went back to what it had before: it does not start",
      "n2: three is left as it is, as what was changed does not work on n1",
      "n3: three is left as it is, as what was changed does not work on n1",
    ]);
    expect(logged.join()).toContain("going back");
  });

  it("goes back to a unit that is to run where a refresh has found it stopped", async () => {
    const hosts = new Hosts();
    const before = part("five", "n1", { unit: "old" });
    const stopped = { ...before, units: { "a.service": { content: "old", enabled: "partly" as const } } };
    const broken = part("five", "n1", { unit: "broken" });
    await expect(rolled("n1/five", broken, stopped, hosts.ensure)).rejects.toThrow("went back");
    expect(hosts.given.at(-1)?.units).toEqual(before.units);
  });

  it("says so where what was there before does not work either", async () => {
    const hosts = new Hosts();
    const both = part("four", "n1", { unit: "broken" });
    await expect(rolled("n1/four", { ...both, files: {} }, both, hosts.ensure)).rejects.toThrow(
      "n1: it does not start",
    );
  });
});
