/** What becomes of a secret, config or network that Docker's provider cannot read. */
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { DOCKER_SOCKET } from "../../hosts/src/docker/api";
import { startManager } from "../unit/hosts/support/fake-docker";
import { operatorOf, sshOptions } from "../unit/hosts/support/proxy";
import { CONFIG, NETWORK, SECRET } from "../unit/hosts/support/recorded";
import { afterwards, startServer, temporaryFolder } from "../unit/hosts/support/stop";
import { orSkip, startBoth, type Both } from "./both";
import type { Recorded } from "./plugin";

/** As the program gives it, from where the project is. */
const proxy = sshOptions("node node_modules/@moorage/hosts/dist/bin/docker-proxy.js");

/** An `ssh` that leads to a socket, whatever it is asked. */
function sshTo(socket: string): string {
  const folder = temporaryFolder();
  fs.writeFileSync(path.join(folder, "ssh"), `#!/bin/sh\nexec socat -t 60 - UNIX-CONNECT:${socket}\n`, {
    mode: 0o755,
  });
  return folder;
}

/** A manager that works but for what it has to say of secrets, configs and networks. */
async function failingManager() {
  const docker = await startManager("swarm-1");
  docker.on("GET", /\/(secrets|configs|networks)\//, () => ({ status: 500, json: { message: "no leader" } }));
  return docker;
}

/** Both plugins, which reach Docker as these options of OpenSSH say. */
async function reaching(
  env: NodeJS.ProcessEnv,
  sshOpts: readonly string[],
  context: TestContext,
): Promise<Both> {
  const { PATH = "", XDG_RUNTIME_DIR = "" } = env;
  const both = orSkip(await startBoth("docker", { DOCKER_HOST: "", PATH, XDG_RUNTIME_DIR }), context);
  afterwards(() => both.stop());
  const settings = { host: "ssh://moorage@swarm-1", sshOpts: JSON.stringify(sshOpts) };
  await both.published.configure("docker", settings);
  await both.standIn.configure("docker", settings);
  return both;
}

describe.each([SECRET, CONFIG, NETWORK])("$type", ({ type, id, outputs }) => {
  const old: Recorded = { id, inputs: outputs, outputs };

  test("is gone for the published provider where Docker fails", async (context) => {
    const docker = await failingManager();
    const env = { PATH: `${sshTo(docker.path)}:${process.env.PATH}` };
    const { published } = await reaching(env, [], context);
    expect((await published.read(type, old)).id).toBe("");
  });

  test("stays as it is recorded where it is read by our way in", async (context) => {
    const docker = await failingManager();
    const server = await startServer({ node: "swarm-1", sockets: { [DOCKER_SOCKET]: docker.path } });
    const { published, standIn } = await reaching(
      operatorOf([server.connection()], [SECRET, CONFIG, NETWORK]),
      proxy,
      context,
    );
    for (const plugin of [published, standIn]) {
      const read = await plugin.read(type, old);
      expect(read.id).toBe(id);
      expect(await plugin.diff(type, read, outputs)).toMatchObject({ replaces: [] });
    }
  });
});
