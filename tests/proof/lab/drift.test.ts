import { beforeAll, expect, test } from "vitest";
import { changedIn } from "../../support/output";
import { expectUnchanged, updates } from "../../support/service";
import { expectSpareStorage } from "../../support/spareStorage";
import { TestLab } from "../../support/testLab";
import { until } from "../../support/waiting";

let lab: TestLab;

const swarm = (line: string): Promise<string> => lab.mustRoot("coreos1", line);

beforeAll(async () => {
  lab = await TestLab.standing();
});

// A file, a label and a setting of a service: tests/lab/story.test.ts.
test("a removed service, an altered setting of nginx and a stopped unit are reported by a refresh and repaired by an update", async () => {
  await swarm("docker service rm haproxy-coreos3");
  const limits = "/etc/moorage/nginx/wanted/limits.conf";
  await lab.mustRoot("coreos2", `echo '# altered' >> ${limits}`);
  await lab.mustRoot("coreos4", "systemctl stop moorage-keepalived.service");

  const { code, output: refreshed } = await lab.refresh();
  expect(code, refreshed).toBe(0);
  const updated = await lab.mustUp("--refresh");
  for (const name of ["haproxy-coreos3", "proxies-coreos2", "edge-keepalived-coreos4"]) {
    expect(refreshed).toMatch(new RegExp(`~ .*${name} updated|- .*${name} deleted|${name} update`));
    expect(updated).toMatch(new RegExp(` ${name} (updated|created|replaced)`));
  }

  const services = `${await swarm("docker service ls --format '{{.Name}} {{.Replicas}}'")}\n${await updates(lab, "coreos1")}`;
  expect(services).toMatch(/^haproxy-coreos3 1\/1$/m);
  expect(services).toMatch(/^nginx 4\/4$/m);
  expect(services).not.toMatch(/ 0\/| updating$| rollback/m);
  expect(await lab.mustRoot("coreos2", `cat ${limits}`)).not.toContain("altered");
  const unit = "systemctl is-active moorage-keepalived.service";
  expect((await lab.mustRoot("coreos4", unit)).trim()).toBe("active");
  expect(await lab.plan()).toEqual([]);
});

test("a service restarted by the runbook's command is no change", async () => {
  await swarm("docker service update --quiet --force --no-resolve-image haproxy-coreos1 >/dev/null");
  expectUnchanged(await lab.refresh());
  expect(await lab.plan()).toEqual([]);
});

test("altered members of MinIO are repaired by one update", async () => {
  const members = ["minio-coreos2", "minio-coreos3"];
  for (const member of members)
    await swarm(`docker service update --detach --container-label-add altered=yes ${member}`);
  await until("MinIO can spare any node", () => expectSpareStorage(lab), { netSeconds: 600 });
  expect(changedIn(await lab.mustUp("--refresh"))).toEqual(expect.arrayContaining(members));
  for (const member of members)
    expect(await swarm(`docker service inspect ${member} --format '{{json .Spec}}'`)).not.toContain(
      "altered",
    );
  expect(await lab.plan()).toEqual([]);
});
