import { beforeAll, expect, test } from "vitest";
import { doneIn } from "../../support/output";
import { expectUnchanged, updates } from "../../support/service";
import { expectSpareStorage } from "../../support/spareStorage";
import { TestLab } from "../../support/testLab";
import { until } from "../../support/waiting";

let lab: TestLab;

const swarm = (line: string): Promise<string> => lab.mustRoot("coreos1", line);

beforeAll(async () => {
  lab = await TestLab.standing();
});

/** Gives nginx a copy of its configuration with one more line. */
async function giveOtherConfiguration(): Promise<void> {
  const spec = "docker service inspect nginx --format '{{json .Spec.TaskTemplate.ContainerSpec.Configs}}'";
  const configs = JSON.parse(await swarm(spec)) as { ConfigName: string; File: { Name: string } }[];
  const config = configs.find(({ File }) => File.Name.endsWith("nginx.conf"));
  await swarm(
    `docker config inspect ${config?.ConfigName} --format '{{printf "%s" .Spec.Data}}' > /tmp/c && echo '# altered' >> /tmp/c && { docker config rm altered; docker config create altered /tmp/c; } && docker service update --detach --config-rm ${config?.ConfigName} --config-add source=altered,target=${config?.File.Name} nginx`,
  );
}

// A file, a label and a setting of a service: tests/lab/story.test.ts.
test("a removed service, another configuration of nginx and a stopped unit are reported by a refresh and repaired by an update", async () => {
  await swarm("docker service rm s3-coreos3");
  await giveOtherConfiguration();
  await lab.mustRoot("coreos4", "systemctl stop moorage-keepalived.service");

  const { code, output: refreshed } = await lab.refresh();
  expect(code, refreshed).toBe(0);
  const updated = await lab.mustUp("--refresh");
  for (const name of ["s3-coreos3", "nginx", "edge-keepalived-coreos4"]) {
    expect(refreshed).toMatch(new RegExp(`~ .*${name} updated|- .*${name} deleted|${name} update`));
    expect(updated).toMatch(new RegExp(` ${name} (updated|created|replaced)`));
  }

  const services = `${await swarm("docker service ls --format '{{.Name}} {{.Replicas}}'")}\n${await updates(lab, "coreos1")}`;
  expect(services).toMatch(/^s3-coreos3 1\/1$/m);
  expect(services).toMatch(/^nginx 4\/4$/m);
  expect(services).not.toMatch(/ 0\/| updating$| rollback/m);
  expect(await swarm("docker service inspect nginx --format '{{json .Spec}}'")).not.toContain('"altered"');
  await swarm("docker config rm altered");
  const unit = "systemctl is-active moorage-keepalived.service";
  expect((await lab.mustRoot("coreos4", unit)).trim()).toBe("active");
  expect(await lab.plan()).toEqual([]);
});

test("a service restarted by the runbook's command is no change", async () => {
  await swarm("docker service update --quiet --force --no-resolve-image s3-coreos1 >/dev/null");
  expectUnchanged(await lab.refresh());
  expect(await lab.plan()).toEqual([]);
});

test("altered members of MinIO are repaired one after the other by one update", async () => {
  const members = ["minio-coreos2", "minio-coreos3"];
  for (const member of members)
    await swarm(`docker service update --detach --container-label-add altered=yes ${member}`);
  await until("MinIO can spare any node", () => expectSpareStorage(lab), { netSeconds: 600 });
  const output = await lab.mustUp("--refresh");
  const done = doneIn(output).map(({ name, what }) => `${name} ${what}`);
  const places = ["store-order", "minio-coreos2-turn", "minio-coreos2-converged", "minio-coreos3-turn"].map(
    (name) => done.indexOf(`${name} updated`),
  );
  expect(places, done.join(", ")).toEqual([...places].sort((a, b) => a - b));
  expect(places[0], done.join(", ")).toBeGreaterThanOrEqual(0);
  for (const member of members)
    expect(await swarm(`docker service inspect ${member} --format '{{json .Spec}}'`)).not.toContain(
      "altered",
    );
  expect(await lab.plan()).toEqual([]);
});
