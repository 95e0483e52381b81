import { expect, it } from "vitest";
import type { ServiceTurnInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { noteFound } from "../../../hosts/src/services/found";
import { serviceTurn } from "../../../hosts/src/services/turn";
import { startManager } from "./support/fake-docker";
import { afterwards, hurry, logged, startServer } from "./support/stop";

const inputs: ServiceTurnInputs = {
  managers: [],
  service: "nginx",
  fingerprint: "f2",
  recorded: "f1",
  run: "now",
};

it("waits until a new leader of the Swarm knows of each node", async () => {
  // What it says of a node at each look; during an election nothing.
  const states = ["unknown", "unknown", undefined, "unknown", "down"];
  const docker = await startManager("coreos1");
  docker.on("GET", /^\/nodes$/, () => {
    const State = states.length > 1 ? states.shift() : states[0];
    if (State === undefined) return { status: 503, json: { message: "rpc error: no elected leader" } };
    const node = { ID: "n2", Spec: { Role: "worker" }, Description: { Hostname: "coreos2" } };
    return { json: [{ ...node, Status: { State } }] };
  });
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  const asked = { ...inputs, managers: [server.connection()] };
  hurry();
  expect(await serviceTurn.create(asked)).toEqual({ id: "nginx", outs: asked });
  expect(states).toEqual(["down"]);
  expect(logged).toEqual(["nginx: waits until the Swarm's new leader knows whether it reaches coreos2"]);
});

it.each<[string, { recorded?: string; run?: string; found?: boolean }, boolean]>([
  ["the service never ran", { recorded: undefined, run: "before" }, false],
  ["it runs as wanted", { recorded: "f2", run: "before" }, false],
  ["a refresh reads back what was recorded before the change", {}, false],
  ["an update was cut off before the service changed", { run: "before" }, true],
  [
    "a refresh of this run has found it changed by hand",
    { recorded: "f2", run: "before", found: true },
    true,
  ],
])("is due or not if %s", (_what, { found = false, run = "now", ...change }, changes) => {
  noteFound("nginx", found);
  afterwards(() => noteFound("nginx", false));
  const wanted = { ...inputs, ...change };
  expect(serviceTurn.diff({ ...wanted, run }, wanted).changes).toBe(changes);
});
