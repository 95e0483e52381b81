import { beforeAll, expect, test } from "vitest";
import { TestLab } from "../support/testLab";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

/** Alters something by hand; a refresh has to show it at `resource`, and an update to mend it. */
async function mended(
  resource: string,
  alter: () => Promise<unknown>,
  isMended: () => Promise<void>,
): Promise<void> {
  await alter();
  const refreshed = await lab.refresh();
  expect(refreshed.code, refreshed.output).toBe(0);
  expect(refreshed.output).toMatch(
    new RegExp(`~ .*${resource} updated|- .*${resource} deleted|${resource} update`),
  );
  expect(await lab.mustUp()).toMatch(new RegExp(` ${resource} (updated|created|replaced)`));
  await isMended();
  expect(await lab.plan()).toEqual([]);
}

test("a service altered by hand", async () => {
  await mended(
    "registry-coreos2",
    () => lab.mustRoot("coreos1", "docker service update --detach --env-add ALTERED=yes registry-coreos2"),
    async () => {
      const spec = await lab.mustRoot(
        "coreos1",
        "docker service inspect registry-coreos2 --format '{{json .Spec}}'",
      );
      expect(spec).not.toContain("ALTERED");
    },
  );
});

test("a service removed by hand", async () => {
  await mended(
    "s3-coreos3",
    () => lab.mustRoot("coreos1", "docker service rm s3-coreos3"),
    async () => expect(await lab.mustRoot("coreos1", "docker service ls")).toContain("s3-coreos3"),
  );
});

test("a node's label altered by hand", async () => {
  await mended(
    "swarm-coreos4",
    () => lab.mustRoot("coreos1", "docker node update --label-rm region coreos4"),
    async () =>
      expect(await lab.mustRoot("coreos1", "docker node inspect coreos4")).toContain('"region": "dc1"'),
  );
});

test("nginx given another configuration by hand", async () => {
  await mended(
    "nginx",
    async () => {
      const before = await lab.mustRoot(
        "coreos1",
        "docker service inspect nginx --format '{{json .Spec.TaskTemplate.ContainerSpec.Configs}}'",
      );
      const config = (JSON.parse(before) as { ConfigName: string; File: { Name: string } }[]).find(
        ({ File }) => File.Name.endsWith("nginx.conf"),
      );
      await lab.mustRoot(
        "coreos1",
        `docker config inspect ${config?.ConfigName} --format '{{printf "%s" .Spec.Data}}' > /tmp/c && echo '# altered' >> /tmp/c && { docker config rm altered; docker config create altered /tmp/c; } && docker service update --detach --config-rm ${config?.ConfigName} --config-add source=altered,target=${config?.File.Name} nginx`,
      );
    },
    async () => {
      expect(
        await lab.mustRoot("coreos1", "docker service inspect nginx --format '{{json .Spec}}'"),
      ).not.toContain('"altered"');
      await lab.mustRoot("coreos1", "docker config rm altered");
    },
  );
});

test("a node's file altered by hand", async () => {
  const file = "/etc/docker/certs.d/10.0.2.10/ca.crt";
  const before = await lab.mustRoot("coreos3", `cat ${file}`);
  await mended(
    "coreos3-base",
    () => lab.mustRoot("coreos3", `echo altered >> ${file}`),
    async () => expect(await lab.mustRoot("coreos3", `cat ${file}`)).toBe(before),
  );
});

test("a node's unit stopped by hand", async () => {
  await mended(
    "edge-keepalived-coreos4",
    () => lab.mustRoot("coreos4", "systemctl stop moorage-keepalived.service"),
    async () =>
      expect((await lab.mustRoot("coreos4", "systemctl is-active moorage-keepalived.service")).trim()).toBe(
        "active",
      ),
  );
});
