import { randomBytes } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { must } from "../../../lab/exec";
import { checkout } from "../../../lab/instance";
import { backendFolder } from "../../../lab/journey/stack";
import { commandLinesDuring, expectNoSecret, logsOf, secretsOf } from "../../support/secrets";
import { TestLab } from "../../support/testLab";

let lab: TestLab;

beforeAll(async () => {
  lab = await TestLab.standing();
});

/** Reads the value from standard input, as an operator pastes it. */
async function setSecret(path: string, value: string): Promise<void> {
  const args = ["config", "set", "--secret", "--path", path, "--stack", "dev"];
  await must("pulumi", args, { env: lab.env, cwd: checkout(), input: value });
}

test("no secret of the stack or its configuration is in state, previews, logs, process lists or rendered user data", async () => {
  const ofStack = await secretsOf(lab);
  expect(ofStack.length).toBeGreaterThan(20);
  const [token, key] = [randomBytes(20).toString("hex"), randomBytes(20).toString("hex")];
  const shows = (text: string): boolean => text.includes(token) || text.includes(key);
  const unit = `[Service]\nType=oneshot\nEnvironment=KEY=${key}\nExecStart=/bin/true\n`;
  const places: Record<string, string> = {};
  // They stay in the configuration: no other test depends on it.
  await setSecret('moorage:os.files["/etc/planted"].content', token);
  lab.changeConfig((config) =>
    config.setIn(["config", "moorage:os", "files", "/etc/planted", "permissions"], "0600"),
  );
  await setSecret('moorage:os.units["planted.service"].content', unit);
  expect(shows(lab.stackFile())).toBe(false);
  places.preview = (await lab.pulumi(["preview", "--diff"])).output;
  expect(places.preview).toContain("/etc/planted");
  const [output, commandLines] = await commandLinesDuring(() => lab.mustUp());
  expect(output).toMatch(/coreos1-base updated/);
  places.update = output;
  places["command lines"] = commandLines.join("\n");
  places.refresh = (await lab.refresh()).output;
  places["the next preview"] = (await lab.pulumi(["preview", "--diff"])).output;
  places.state = await lab.state();
  expect(shows(await lab.state(true))).toBe(true);
  const files = 'find "$1" -type f -exec cat {} +';
  places.backend = await must("sh", ["-c", files, "sh", backendFolder(lab.instance)]);
  for (const { name } of lab.nodes) {
    expect(await lab.mustRoot(name, "cat /etc/planted; stat -c %a /etc/planted")).toBe(`${token}600\n`);
    places[`logs of ${name}`] = await logsOf(lab, name);
  }
  expectNoSecret(ofStack, places);
  const render = ["run", "-s", "moorage", "--", "render", "coreos1", "--whole"];
  places.rendered = await must("npm", render, { env: lab.env, cwd: checkout() });
  expect(places.rendered).toContain("planted.service");
  expect(shows(await must("npm", [...render, "--secrets"], { env: lab.env, cwd: checkout() }))).toBe(true);
  expect(Object.keys(places).filter((place) => shows(places[place] ?? ""))).toEqual([]);
});

test("each provider in the state holds less than 1 KB of code", async () => {
  const state = JSON.parse(await lab.state()) as {
    deployment: { resources: { inputs?: { __provider?: string } }[] };
  };
  const sizes = state.deployment.resources
    .map(({ inputs }) => inputs?.__provider?.length ?? 0)
    .filter(Boolean);
  expect(sizes.length).toBeGreaterThan(30);
  expect(Math.max(...sizes)).toBeLessThan(1024);
});
