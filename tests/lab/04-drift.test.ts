import { beforeAll, describe, expect, test } from "vitest";
import { doneIn } from "../support/output";
import { expectUnchanged, updates } from "../support/service";
import { expectSpareStorage } from "../support/spareStorage";
import { eventually, TestLab } from "../support/testLab";

interface Alteration {
  readonly what: string;
  /** The resource at which a refresh has to show it. */
  readonly resource: string;
  readonly alter: () => Promise<unknown>;
  readonly isMended: () => Promise<void>;
}

const certificate = "/etc/docker/certs.d/10.0.2.10/ca.crt";

let lab: TestLab;
let authority: string;
let refreshed: string;
let updated: string;
/** What Swarm says of each service right after the update. */
let services: string;

const swarm = (line: string): Promise<string> => lab.mustRoot("coreos1", line);

/** Gives nginx a copy of its configuration with a line more. */
async function giveOtherConfiguration(): Promise<void> {
  const spec = "docker service inspect nginx --format '{{json .Spec.TaskTemplate.ContainerSpec.Configs}}'";
  const configs = JSON.parse(await swarm(spec)) as { ConfigName: string; File: { Name: string } }[];
  const config = configs.find(({ File }) => File.Name.endsWith("nginx.conf"));
  await swarm(
    `docker config inspect ${config?.ConfigName} --format '{{printf "%s" .Spec.Data}}' > /tmp/c && echo '# altered' >> /tmp/c && { docker config rm altered; docker config create altered /tmp/c; } && docker service update --detach --config-rm ${config?.ConfigName} --config-add source=altered,target=${config?.File.Name} nginx`,
  );
}

const alterations: Alteration[] = [
  {
    what: "a service",
    resource: "registry-coreos2",
    alter: () => swarm("docker service update --detach --env-add ALTERED=yes registry-coreos2"),
    isMended: async () =>
      expect(await swarm("docker service inspect registry-coreos2 --format '{{json .Spec}}'")).not.toContain(
        "ALTERED",
      ),
  },
  {
    what: "a service, which was removed",
    resource: "s3-coreos3",
    alter: () => swarm("docker service rm s3-coreos3"),
    isMended: async () => expect(await swarm("docker service ls")).toContain("s3-coreos3"),
  },
  {
    what: "a node's label",
    resource: "swarm-coreos4",
    alter: () => swarm("docker node update --label-rm region coreos4"),
    isMended: async () => expect(await swarm("docker node inspect coreos4")).toContain('"region": "dc1"'),
  },
  {
    what: "nginx's configuration",
    resource: "nginx",
    alter: giveOtherConfiguration,
    isMended: async () => {
      expect(await swarm("docker service inspect nginx --format '{{json .Spec}}'")).not.toContain(
        '"altered"',
      );
      await swarm("docker config rm altered");
    },
  },
  {
    what: "a node's file",
    resource: "coreos3-base",
    alter: () => lab.mustRoot("coreos3", `echo altered >> ${certificate}`),
    isMended: async () => expect(await lab.mustRoot("coreos3", `cat ${certificate}`)).toBe(authority),
  },
  {
    what: "a node's unit, which was stopped",
    resource: "edge-keepalived-coreos4",
    alter: () => lab.mustRoot("coreos4", "systemctl stop moorage-keepalived.service"),
    isMended: async () =>
      expect((await lab.mustRoot("coreos4", "systemctl is-active moorage-keepalived.service")).trim()).toBe(
        "active",
      ),
  },
];

beforeAll(async () => {
  lab = await TestLab.standing();
  authority = await lab.mustRoot("coreos3", `cat ${certificate}`);
});

describe("altered by hand", () => {
  beforeAll(async () => {
    for (const { alter } of alterations) await alter();
    const { code, output } = await lab.refresh();
    expect(code, output).toBe(0);
    refreshed = output;
    updated = await lab.mustUp("--refresh");
    const running = await swarm("docker service ls --format '{{.Name}} {{.Replicas}}'");
    services = `${running}\n${await updates(lab, "coreos1")}`;
  });

  test.each(alterations)("$what is shown by a refresh, and mended by an update", async (alteration) => {
    const { resource, isMended } = alteration;
    expect(refreshed).toMatch(
      new RegExp(`~ .*${resource} updated|- .*${resource} deleted|${resource} update`),
    );
    expect(updated).toMatch(new RegExp(` ${resource} (updated|created|replaced)`));
    await isMended();
  });

  test("every service runs by then, and no update of one goes on", () => {
    expect(services).toMatch(/^s3-coreos3 1\/1$/m);
    expect(services).toMatch(/^nginx 4\/4$/m);
    expect(services).not.toMatch(/ 0\/| updating$| rollback/m);
  });

  test("nothing else is left to change", async () => {
    expect(await lab.plan()).toEqual([]);
  });

  test("what was only started anew, as the runbook does, is no change", async () => {
    await swarm("docker service update --quiet --force --no-resolve-image s3-coreos1 >/dev/null");
    expectUnchanged(await lab.refresh());
    expect(await lab.plan()).toEqual([]);
  });
});

test("members of MinIO altered by hand are put back one by one, by one command", async () => {
  const members = ["minio-coreos2", "minio-coreos3"];
  for (const member of members)
    await swarm(`docker service update --detach --container-label-add altered=yes ${member}`);
  await eventually(120, () => expectSpareStorage(lab));
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
