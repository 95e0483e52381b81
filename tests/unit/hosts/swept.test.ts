import { writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { swept } from "../../../hosts/src/services/swept";
import { startDocker } from "./support/fake-docker";
import { startServer, temporaryFolder } from "./support/stop";

afterEach(() => vi.unstubAllEnvs());

/** A `pulumi` whose stack holds resources of these ids. */
function pulumiWith(...ids: string[]): void {
  const folder = temporaryFolder();
  const state = JSON.stringify({
    deployment: { resources: [{ type: "stack" }, ...ids.map((id) => ({ id }))] },
  });
  writeFileSync(join(folder, "pulumi"), `#!/bin/sh\ncat <<'END'\n${state}\nEND\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${folder}${delimiter}${process.env.PATH ?? ""}`);
}

it("removes what nothing records and nothing uses, and leaves to Pulumi what it records", async () => {
  pulumiWith("recorded");
  const docker = await startDocker();
  docker.on("GET", /^\/info$/, () => ({ json: { Swarm: { ControlAvailable: true } } }));
  docker.on("GET", /^\/nodes$/, () => ({ json: [] }));
  docker.on("GET", /^\/secrets$/, () => ({ json: [{ ID: "recorded" }, { ID: "left" }, { ID: "used" }] }));
  docker.on("DELETE", /^\/secrets\/\w+$/, () => ({ status: 204 }));
  docker.on("DELETE", /^\/secrets\/used$/, () => ({
    status: 400,
    json: { message: "secret 'used' is in use by the following service: web" },
  }));
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  await swept.create({
    managers: [server.connection()],
    label: "moorage.stack=moorage/dev",
    stack: "organization/moorage/dev",
    fingerprint: "1",
  });
  expect(docker.calls("DELETE", /./).map((call) => call.path)).toEqual(["/secrets/left", "/secrets/used"]);
  expect(docker.calls("GET", /^\/secrets$/)[0]?.query.get("filters")).toBe(
    '{"label":["moorage.stack=moorage/dev"]}',
  );
});
