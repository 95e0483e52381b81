import * as fs from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { introduce, pushAndPull } from "../../lab/journey/push";
import { freshClone } from "../support/clone";
import { helloArchive, TestLab } from "../support/testLab";

let lab: TestLab;
let clone: string;
let digest: string;

/** What somebody has who only knows the backend and the passphrase. */
function bareEnvironment(): Record<string, string> {
  return { ...lab.env, PULUMI_OPTION_CONFIG_FILE: "" };
}

beforeAll(async () => {
  lab = await TestLab.standing();
  const access = await lab.access();
  digest = await pushAndPull(lab.instance, access, helloArchive(lab));
  clone = await freshClone();
  fs.readdirSync(clone)
    .filter((name) => /^Pulumi\..+\.yaml$/.test(name))
    .forEach((name) => fs.rmSync(`${clone}/${name}`));
});

afterAll(() => fs.rmSync(clone, { recursive: true, force: true }));

test("a refresh works in a fresh clone that has only the backend and the passphrase", async () => {
  const args = ["refresh", "--yes", "--stack", "dev", "--suppress-outputs"];
  const { code, output } = await lab.pulumi(args, { cwd: clone, env: bareEnvironment() });
  expect(code, output).toBe(0);
  expect(output).toMatch(/\d+ unchanged/);
  expect(output).not.toMatch(/updated|deleted/);
});

test("so does a destroy, after which the hosts are out of the Swarm and nothing of ours runs", async () => {
  const args = ["destroy", "--yes", "--stack", "dev", "--suppress-outputs"];
  const { code, output } = await lab.pulumi(args, { cwd: clone, env: bareEnvironment() });
  expect(code, output).toBe(0);
  for (const { name } of lab.nodes) {
    expect(await lab.mustRoot(name, "docker info --format '{{.Swarm.LocalNodeState}}'"), name).toBe(
      "inactive\n",
    );
    expect(await lab.mustRoot(name, "docker ps --all --quiet"), name).toBe("");
    expect(
      await lab.mustRoot(
        name,
        "docker volume ls --quiet; docker network ls --quiet --filter type=custom | grep -v $(docker network ls --quiet --filter name=docker_gwbridge) || true",
      ),
      name,
    ).toBe("");
    expect(await lab.mustRoot(name, "systemctl list-unit-files 'moorage-*' --no-legend"), name).toBe("");
  }
});

test("an update then brings back what was pushed, with every resolver black-holed", async () => {
  for (const { name } of lab.nodes) {
    await lab.mustRoot(
      name,
      "iptables -I OUTPUT -d 192.0.2.53 -j DROP && echo 'nameserver 192.0.2.53' > /etc/resolv.conf",
    );
  }
  await lab.mustUp();
  const access = await lab.recordAccess();
  await introduce(lab.instance, "client2", access);
  const image = `${access.host}/demo/hello@${digest}`;
  await lab.client("client2", `docker image rm --force ${image}`);
  expect(await lab.client("client2", `docker pull --quiet ${image}`)).toContain(digest);
});

test("and every service is restarted there, without a name server, in seconds", async () => {
  const services = (await lab.mustRoot("coreos1", "docker service ls --format '{{.Name}}'"))
    .trim()
    .split("\n");
  expect(services.length).toBeGreaterThan(10);
  for (const service of services) {
    const start = Date.now();
    await lab.mustRoot(
      "coreos1",
      `docker service update --quiet --force --no-resolve-image ${service} >/dev/null`,
    );
    // A look-up that has to time out costs 20 s for each task.
    expect((Date.now() - start) / 1000 / (service === "nginx" ? 4 : 1), service).toBeLessThan(20);
  }
  expect(await lab.plan()).toEqual([]);
});
