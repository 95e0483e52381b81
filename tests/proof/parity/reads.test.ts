/** Docker's provider takes what it cannot read for gone (docs/decisions/0023). Our proxy prevents that. */
import { describe, expect, test, type TestContext } from "vitest";
import { DOCKER_SOCKET } from "../../../hosts/src/docker/api";
import { startManager } from "../../unit/hosts/support/fake-docker";
import { operatorOf, sshOptions } from "../../unit/hosts/support/proxy";
import { NETWORK, SECRET } from "../../unit/hosts/support/recorded";
import { afterwards, startServer, temporaryFolder } from "../../unit/hosts/support/stop";
import { orSkip, startBoth, type Both } from "./compare";
import { sshTo } from "./daemon";

/** The proxy as the program configures it, relative to the project. */
const proxy = sshOptions("node node_modules/@moorage/hosts/dist/bin/docker-proxy.js");

/** A manager that fails whenever it is asked for a secret or network. */
async function failingManager() {
  const docker = await startManager("swarm-1");
  docker.on("GET", /\/(secrets|networks)\//, () => ({ status: 500, json: { message: "no leader" } }));
  return docker;
}

/** Both plugins, which reach Docker by these options of OpenSSH. */
async function reaching(
  { PATH = "", XDG_RUNTIME_DIR = "" }: NodeJS.ProcessEnv,
  sshOpts: readonly string[],
  context: TestContext,
): Promise<Both> {
  const settings = { host: "ssh://moorage@swarm-1", sshOpts: JSON.stringify(sshOpts) };
  const both = orSkip(
    await startBoth("docker", { DOCKER_HOST: "", PATH, XDG_RUNTIME_DIR }, settings),
    context,
  );
  afterwards(() => both.stop());
  return both;
}

describe.each([SECRET, NETWORK])("$type", ({ type, id, outputs }) => {
  const old = { id, inputs: outputs, outputs };

  test("is gone for the published provider if Docker fails", async (context) => {
    const docker = await failingManager();
    const env = { PATH: `${sshTo(temporaryFolder(), docker.path)}:${process.env.PATH}` };
    const { published } = await reaching(env, [], context);
    expect((await published.read(type, old)).id).toBe("");
  });

  test("stays as recorded if it is read through the proxy", async (context) => {
    const docker = await failingManager();
    const server = await startServer({ node: "swarm-1", sockets: { [DOCKER_SOCKET]: docker.path } });
    const env = operatorOf([server.connection()], [SECRET, NETWORK]);
    const { published, standIn } = await reaching(env, proxy, context);
    for (const plugin of [published, standIn]) {
      const read = await plugin.read(type, old);
      expect(read.id).toBe(id);
      expect(await plugin.diff(type, read, outputs)).toMatchObject({ replaces: [] });
    }
  });
});
