import { expect, it } from "vitest";
import type { ServiceTurnInputs } from "../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { noteFound } from "../../../hosts/src/services/found";
import { serviceTurn } from "../../../hosts/src/services/turn";
import { startManager } from "./support/fake-docker";
import { logged, startServer } from "./support/stop";

/** A Swarm that says of a node's state, at each look, the next of these; an election has none. */
async function swarm(...states: (string | undefined)[]) {
  const docker = await startManager("coreos1");
  docker.on("GET", /^\/nodes$/, () => {
    const State = states.length > 1 ? states.shift() : states[0];
    if (State === undefined) return { status: 503, json: { message: "rpc error: no elected leader" } };
    const node = { ID: "n2", Spec: { Role: "worker" }, Description: { Hostname: "coreos2" } };
    return { json: [{ ...node, Status: { State } }] };
  });
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  const inputs: ServiceTurnInputs = {
    managers: [server.connection()],
    service: "nginx",
    fingerprint: "f2",
    recorded: "f1",
    run: "now",
  };
  return { inputs, left: () => states.length - 1, looks: () => docker.calls("GET", /^\/nodes$/).length };
}

it("waits for a new leader of the Swarm to know of each node, also in an election", async () => {
  // A manager is asked whether it can be asked, too.
  const { inputs, left } = await swarm("unknown", "unknown", undefined, "unknown", "down");
  logged.length = 0;
  expect(await serviceTurn.create(inputs)).toEqual({ id: "nginx", outs: inputs });
  expect(left()).toBe(0);
  expect(logged).toEqual(["nginx: waits until the Swarm's new leader knows whether it reaches coreos2"]);
}, 20_000);

it("asks nobody before the service ever ran, and where it runs as what is wanted", async () => {
  const { inputs, looks } = await swarm("unknown");
  for (const recorded of [undefined, "f2"]) {
    const quiet = { ...inputs, recorded };
    await serviceTurn.create(quiet);
    await serviceTurn.update("nginx", inputs, quiet);
    expect(serviceTurn.diff(quiet, quiet).changes).toBe(false);
  }
  expect(looks()).toBe(0);
});

it("is not due to a refresh, which reads back what was recorded before the change", async () => {
  const { inputs } = await swarm("ready");
  const refreshed = await serviceTurn.read("nginx", inputs);
  expect(refreshed?.outs).toEqual(inputs);
  expect(serviceTurn.diff(inputs, refreshed?.outs ?? inputs).changes).toBe(false);
});

it("is due again after an update that was cut off before the service was another one", async () => {
  const { inputs } = await swarm("ready");
  expect(serviceTurn.diff({ ...inputs, run: "before" }, inputs).changes).toBe(true);
});

it("is due where a refresh of the same run has found the service changed by hand", async () => {
  const { inputs, looks } = await swarm("ready");
  const unchanged = { ...inputs, recorded: "f2" };
  expect(serviceTurn.diff({ ...unchanged, run: "before" }, unchanged).changes).toBe(false);
  noteFound("nginx", true);
  expect(serviceTurn.diff({ ...unchanged, run: "before" }, unchanged).changes).toBe(true);
  await serviceTurn.update("nginx", unchanged, unchanged);
  expect(looks()).toBeGreaterThan(0);
  noteFound("nginx", false);
  expect(serviceTurn.diff({ ...unchanged, run: "before" }, unchanged).changes).toBe(false);
});
