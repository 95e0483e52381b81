import * as pulumi from "@pulumi/pulumi";
import { expect, test, vi } from "vitest";
import { freeName } from "../../providers/recorded";

const removed = vi.hoisted(() => [] as string[]);
vi.mock("@moorage/hosts", () => ({
  recordedSwarm: () => Promise.resolve({ managers: [], names: new Set(["known"]) }),
  removeUnrecorded: (_managers: unknown, kind: string, name: string) => {
    if (name === "foreign") return Promise.reject(new Error("swarm: a service called foreign is there"));
    removed.push(`${kind} ${name}`);
    return Promise.resolve();
  },
}));

class Member extends pulumi.CustomResource {
  declare readonly nodeId: pulumi.Output<string>;

  constructor(name: string) {
    super("test:index:Member", name, { nodeId: undefined });
  }
}

test("a name waits for the Swarm and depends on no member of it, with which its service would be replaced", async () => {
  const newResource = () => ({ id: "id", state: { nodeId: "n1" } });
  await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "moorage", "dev", false, "organization");
  const joined = pulumi.all([new Member("a").nodeId, new Member("b").nodeId]);
  for (const name of ["known", "left-behind"]) {
    const output = pulumi.output(freeName("services", name, "moorage.stack=moorage/dev", joined));
    const { promise, allResources } = output as unknown as {
      promise(): Promise<string>;
      allResources(): Promise<Set<pulumi.Resource>>;
    };
    expect(await promise.call(output)).toBe(name);
    expect([...(await allResources.call(output))]).toEqual([]);
  }
  expect(removed).toEqual(["services left-behind"]);
});

test("a name that something else has is refused in a message of one line", async () => {
  const newResource = () => ({ id: "id", state: {} });
  await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "moorage", "dev", false, "organization");
  const refused = freeName("services", "foreign", "moorage.stack=moorage/dev", pulumi.output(["n1"]));
  const error = await Promise.resolve(refused as Promise<string>).catch((reason: unknown) => reason);
  if (!pulumi.RunError.isInstance(error)) throw new Error("Pulumi would show where it was asked");
  error.message = `error serializing property "name": ${error.message}`;
  expect(error.message).toBe("swarm: a service called foreign is there");
});
