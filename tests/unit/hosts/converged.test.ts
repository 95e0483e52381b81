import { expect, it } from "vitest";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { converged } from "../../../hosts/src/services/converged";
import { startManager } from "./support/fake-docker";
import { startServer } from "./support/stop";

const template = { ContainerSpec: { Image: "web:1" }, ForceUpdate: 0 };

const task = (ID: string, State: string, Err?: string) => ({
  ID,
  NodeID: "n2",
  Spec: template,
  DesiredState: State === "failed" ? "shutdown" : "running",
  Status: { State, Timestamp: `2026-01-01T00:00:0${ID}Z`, ...(Err && { Err }) },
});

it("fails a service that was never healthy with its node and its last task's error, once its time is up", async () => {
  const docker = await startManager("coreos1");
  const nodes = [["n1", "coreos1"] as const, ["n2", "coreos2"] as const].map(([ID, Hostname]) => ({
    ID,
    Spec: { Role: "manager", Availability: "active", Labels: {} },
    Description: { Hostname },
    Status: { State: "ready" },
    ManagerStatus: { Reachability: "reachable" },
  }));
  docker.on("GET", /^\/nodes$/, () => ({ json: nodes }));
  // A first creation: there is no update that Swarm could roll back.
  docker.on("GET", /^\/services\/web$/, () => ({
    json: { ID: "s1", Spec: { Name: "web", Mode: { Replicated: { Replicas: 1 } }, TaskTemplate: template } },
  }));
  docker.on("GET", /^\/tasks$/, () => ({
    json: [
      task("1", "failed", "an older one"),
      task("2", "failed", "task: non-zero exit (1): dockerexec: unhealthy container"),
      task("3", "starting"),
    ],
  }));
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  const inputs = { managers: [server.connection()], service: "web", fingerprint: "f", timeoutSeconds: 2 };
  await expect(converged.create(inputs)).rejects.toThrow(
    "service web is not up after 2 s: 0 of 1 tasks run (starting on coreos2); last task error: coreos2: task: non-zero exit (1): dockerexec: unhealthy container",
  );
}, 20_000);
