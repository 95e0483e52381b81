/** The stand-ins plan, create, update, replace and delete as the published plugins do. */
import { afterAll, beforeAll, describe, expect, test, type TestContext } from "vitest";
import { without } from "../../../lab/plugins/properties";
import { cases } from "./cases";
import { compared, orSkip, startBoth, type Both } from "./compare";
import { Daemon } from "./daemon";
import { dockerCases } from "./dockerCases";
import type { Wire } from "./plugin";

const swarm = { host: "ssh://moorage@swarm", sshOpts: JSON.stringify(["-o", "LogLevel=ERROR"]) };

const started = new Map<string, Both | undefined>();
let daemon: Daemon;
beforeAll(async () => {
  for (const name of ["command", "random", "tls"]) started.set(name, await startBoth(name));
  daemon = await Daemon.start();
  const env = { PATH: `${daemon.ssh()}:${process.env.PATH}`, DOCKER_HOST: "" };
  started.set("docker", await startBoth("docker", env, swarm));
});
afterAll(async () => {
  started.forEach((both) => both?.stop());
  await daemon?.stop();
});

const folders: Readonly<Record<string, string>> = {
  Network: "networks",
  Secret: "secrets",
  Service: "services",
};

/** What Docker holds of a resource, without what Docker makes up. */
async function look(type: string, id: string): Promise<unknown> {
  const found = await daemon.ask("GET", `/${folders[type.split(":").at(-1) ?? ""]}/${id}`);
  if (type.endsWith(":Network")) return without(found, "Id", "Created");
  const spec = without(found.Spec as Wire, "Name") as {
    TaskTemplate?: { ContainerSpec: { Env?: string[]; Mounts?: { Target: string }[] } };
  };
  // The published plugin sends them in any order.
  const { Env, Mounts } = spec.TaskTemplate?.ContainerSpec ?? {};
  Env?.sort();
  Mounts?.sort((one, other) => one.Target.localeCompare(other.Target));
  return spec;
}

describe.each([...cases, ...dockerCases])("$title", (one) => {
  let rows: ReturnType<typeof compared> | undefined;
  const rowsOf = (context: TestContext) => {
    const isInDocker = one.type.startsWith("docker:");
    const both = orSkip(started.get(one.type.split(":")[0] ?? ""), context);
    return (rows ??= compared(both, one, isInDocker ? (id) => look(one.type, id) : undefined));
  };

  test.for(["created", ...Object.keys(one.changes), "deleted"])("%s", async (row, context) => {
    const { published, standIn } = await rowsOf(context);
    expect(standIn[row]).toEqual(published[row]);
  });
});
