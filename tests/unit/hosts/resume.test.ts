import { expect, it } from "vitest";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { endResumption, resumeUpdate } from "../../../hosts/src/services/resume";
import { startDocker } from "./support/fake-docker";
import { hurry, startServer } from "./support/stop";

it("changes a service's labels, and later changes them back, on top of what somebody else changes meanwhile", async () => {
  const original = {
    Name: "web",
    Labels: { "moorage.stack": "moorage/dev" },
    TaskTemplate: { ForceUpdate: 0 },
  };
  const specs: (typeof original)[] = [original];
  let refusals = 1;
  const docker = await startDocker();
  docker.on("GET", /^\/info$/, () => ({ json: { Swarm: { ControlAvailable: true } } }));
  docker.on("GET", /^\/nodes$/, () => ({ json: [] }));
  docker.on("GET", /^\/services\/web$/, () => ({
    json: { ID: "s1", Version: { Index: specs.length }, Spec: specs.at(-1) },
  }));
  docker.on("POST", /^\/services\/s1\/update$/, ({ query, body }) => {
    if (refusals-- > 0) return { status: 500, json: { message: "rpc error: update out of sequence" } };
    expect(query.get("version")).toBe(String(specs.length));
    specs.push(JSON.parse(body) as typeof original);
    return { json: {} };
  });
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  const managers = [server.connection()];
  hurry();
  await resumeUpdate(managers, "web");
  expect(specs.slice(1)).toEqual([
    { ...original, Labels: { ...original.Labels, "moorage.resumed": expect.any(String) as string } },
  ]);
  await endResumption(managers, "web");
  expect(specs).toHaveLength(3);
  expect(specs[2]).toEqual(original);
});
