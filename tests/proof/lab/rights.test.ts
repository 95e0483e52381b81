import { expect, test } from "vitest";
import { load, pushAndPull } from "../../../lab/journey/push";
import { ask, helloArchive, TestLab } from "../../support/testLab";

const docker = "DOCKER_CONFIG=/tmp/rights-test docker";

// Every other right: tests/unit/render/rights.test.ts and tests/unit/render/programs/nginx.test.ts.
test("Docker as `reader` pushes to her own repositories alone; the admin pulls what she may not", async () => {
  const lab = await TestLab.standing();
  const access = await lab.access();
  const { reader = "" } = (await lab.outputs()).passwords as Record<string, string>;
  const on = (line: string, input?: string) => lab.client("client1", line, input);
  const digest = await pushAndPull(lab.instance, access, helloArchive(lab));
  const loaded = await load(lab.instance, lab.host("client1"), helloArchive(lab));

  await on(`${docker} login --username reader --password-stdin ${access.host}`, reader);
  const [own, other] = [`${access.host}/reader/hello:1`, `${access.host}/demo/other:1`];
  expect(await on(`docker tag ${loaded} ${own} && ${docker} push ${own}`)).toContain("digest: sha256:");
  const refused = [
    `docker tag ${loaded} ${other} && ${docker} push ${other}`,
    `${docker} pull ${access.host}/demo/hello@${digest}`,
  ];
  for (const line of refused) await expect(on(line), line).rejects.toThrow(/denied|403 Forbidden/i);

  const tags = "/v2/demo/hello/tags/list";
  expect((await ask(lab, access, tags)).status).toBe(401);
  expect((await ask(lab, access, tags, { user: "admin", password: "wrong" })).status).toBe(401);
  expect((await ask(lab, access, tags, { user: "reader", password: reader })).status).toBe(403);
  expect((await ask(lab, access, tags, { user: access.username, password: access.password })).status).toBe(
    200,
  );
  await on(`docker rmi --force ${own} ${other}; rm -r /tmp/rights-test`);
});
