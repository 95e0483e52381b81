import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { must, run } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { pushAndPull } from "../../lab/journey/push";
import { backendFolder } from "../../lab/journey/stack";
import { commandLinesDuring, expectNoSecret, logsOf, secretsOf } from "../support/secrets";
import { expectUnchanged } from "../support/service";
import { ask, eventually, helloArchive, TestLab } from "../support/testLab";

let lab: TestLab;

/** As an operator does it who pastes it in. */
async function setSecret(path: string, value: string): Promise<void> {
  const args = ["config", "set", "--secret", "--path", path, "--stack", "dev"];
  await must("pulumi", args, { env: lab.env, cwd: checkout(), input: value });
}

beforeAll(async () => {
  lab = await TestLab.standing();
});

test("an image pushed on one client is pulled by the same digest on another", async () => {
  const access = await lab.access();
  expect(await pushAndPull(lab.instance, access, helloArchive(lab))).toMatch(/^sha256:[0-9a-f]{64}$/);
});

test("the registry answers on a loopback address of this machine, under the same certificate", async () => {
  const access = await lab.access();
  expect((await ask(lab, access, "/v2/")).status).toBe(401);
  const answer = await ask(lab, access, "/v2/_catalog", { user: access.username, password: access.password });
  expect(JSON.parse(answer.body)).toEqual({ repositories: ["demo/hello"] });
});

test("acceptance says what it found", async () => {
  const { report } = (await lab.outputs()) as { report: { name: string; status: string }[] };
  expect(report.length).toBeGreaterThan(4);
  expect(report.filter((check) => check.status !== "ok")).toEqual([]);
});

/** The parts of `make lab`, as it names them. */
const parts = ["tools", "images", "hosts", "pulumi up", "push and pull"];

/** How long the stack was made, without its hosts: from its first resource to the one that proves all others. */
async function secondsOfMaking(): Promise<number> {
  const { deployment } = JSON.parse(await lab.state()) as {
    deployment: { resources: { urn: string; created?: string }[] };
  };
  const made = (of: (urn: string) => boolean): number[] =>
    deployment.resources.flatMap(({ urn, created }) =>
      of(urn) && created !== undefined ? [Date.parse(created)] : [],
    );
  const [last = NaN] = made((urn) => urn.endsWith("::acceptance-checks"));
  return (last - Math.min(...made(() => true))) / 1000;
}

/** What `make lab` said at last. */
let farewell = "";

describe("nothing was changed", () => {
  test("so make lab has nothing to update, and says so in less than half the time that making it took, and goes on to a push and a pull", async () => {
    const env = { MOORAGE_LAB: String(lab.instance.number) };
    const start = Date.now();
    const { code, stdout, stderr } = await run("make", ["lab"], { env, cwd: checkout() });
    const seconds = (Date.now() - start) / 1000;
    expect(code, stderr).toBe(0);
    const making = await secondsOfMaking();
    expect(seconds, `making it took ${making} s`).toBeLessThan(making / 2);
    expect(stdout).toMatch(/Resources:\n\s+\d+ unchanged\n/);
    expect(stdout).toMatch(/Pushed +\S+@sha256:[0-9a-f]{64} from client1, pulled on client2/);
    expect(stdout).not.toMatch(/created|updated|replaced|deleted/);
    expect(stdout + stderr).not.toMatch(/warning/i);
    expect(stderr.split("\n").filter((line) => parts.includes(line))).toEqual(parts);
    // Of each part it tells what it had to do.
    expect(stderr).not.toMatch(/network \S+ in|hypervisor:|switched on|forwards on|booting|cut off/);
    farewell = stdout;
  });

  test("so a refresh finds nothing", async () => {
    expectUnchanged(await lab.refresh());
  });
});

describe("what make lab says at last", () => {
  /** What follows a word at the beginning of a line, once for each such line. */
  const after = (word: RegExp): string[] =>
    [...farewell.matchAll(new RegExp(`^ *${word.source} +(.+)$`, "gm"))].map((match) => match.at(-1) ?? "");
  const shell = (line: string): Promise<string> =>
    must("bash", ["-ec", line], {
      env: { MOORAGE_LAB: String(lab.instance.number) },
      cwd: checkout(),
      timeoutMs: 60_000,
    });
  const url = (): string => `https://127.0.0.1:${lab.instance.registryPort}`;

  test("is where the registry is, and what was pushed there and pulled", async () => {
    const { host } = await lab.access();
    expect(after(/Registry/)).toEqual([`https://${host} on the lab's network, ${url()} from here`]);
    const pushed = after(/Pushed/);
    expect(pushed).toHaveLength(1);
    expect(pushed[0]?.replace(/sha256:[0-9a-f]{64}/, "DIGEST")).toBe(
      `${host}/demo/hello@DIGEST from client1, pulled on client2`,
    );
  });

  test("and how long each part took, and all of it", () => {
    const [, time = ""] = /^Time\n((?: {2}\S.*\n)+)/m.exec(farewell) ?? [];
    const lines = time.trimEnd().split("\n");
    expect(lines.map((line) => line.replace(/ +\d+\.\d s$/, ""))).toEqual(
      [...parts, "all of it"].map((name) => `  ${name}`),
    );
  });

  test("and how to trust its authority", async () => {
    const [line = ""] = after(/Trust its CA/);
    const curl = /^curl --cacert \S+/.exec(line)?.[0] ?? "";
    expect(await shell(`${curl} --silent --output /dev/null --write-out '%{http_code}' ${url()}/v2/`)).toBe(
      "401",
    );
    const certificate = /install -D -m 0644 (\S+) \/etc\/docker\/certs\.d\/(\S+)\/ca\.crt$/.exec(line);
    expect(certificate?.[2]).toBe(`127.0.0.1:${lab.instance.registryPort}`);
    expect(fs.readFileSync(certificate?.[1] ?? "", "utf8")).toBe((await lab.access()).caCertificate);
  });

  test("and how to log in, with what make env gives a shell", async () => {
    const [line = ""] = after(/Log in/);
    // This machine need have no Docker: in its place what Docker would ask of the registry.
    const docker =
      'docker() { curl --fail --silent --show-error --cacert "$REGISTRY_CA" --config - "https://$5/v2/" <<<"user = $3:$(cat)"; }';
    expect(await shell(`${docker}; ${line} && echo in`)).toMatch(/\{\}\s*in\n$/);
    const used = await shell(
      'eval "$(make -s env)"; pulumi stack output registryUrl; curl --silent --cacert "$REGISTRY_CA" --config - "$REGISTRY_URL/v2/_catalog" <<<"user = $REGISTRY_USER:$REGISTRY_PASSWORD"',
    );
    expect(used).toMatch(/^https:\/\/\S+\n\{"repositories":\["demo\/hello"/);
  });

  test("and how to reach each node", async () => {
    for (const { name } of lab.nodes) {
      const [line = ""] = after(new RegExp(name));
      expect(line).toMatch(/^ssh -p \d+ -i /);
      expect(await shell(`${line} -o BatchMode=yes -o StrictHostKeyChecking=yes hostname`)).toBe(`${name}\n`);
    }
    const [other = ""] = after(/or/).filter((line) => line.startsWith("npm"));
    expect(await shell(`${other} hostname`)).toBe("coreos1\n");
  });

  test("and hosts are looked at and switched by hand", async () => {
    const command = (line: string) => shell(`npm run -s lab -- ${line}`);
    const stateOf = async (host: string) =>
      new RegExp(`^${host} +(\\S+)`, "m").exec(await command("status"))?.[1];
    for (const { name } of lab.nodes) expect(await stateOf(name)).toBe("installed");
    const { hosts } = JSON.parse(await command("info --json")) as { hosts: object };
    expect(Object.keys(hosts)).toEqual(lab.instance.hosts.map(({ name }) => name));
    const state = await stateOf("client2");
    expect(await command("off client2")).toMatch(/^client2 is off/);
    try {
      expect(await stateOf("client2")).toBe("off");
    } finally {
      expect(await command("on client2")).toMatch(/^client2 is on/);
    }
    expect(await stateOf("client2")).toBe(state);
    await eventually(30, async () => void (await lab.client("client2", "docker version")));
  });
});

describe("secrets", () => {
  test("of the stack and of its configuration stay secret in state, previews, logs, process lists and rendered user data", async () => {
    const ofStack = await secretsOf(lab);
    expect(ofStack.length).toBeGreaterThan(20);
    const [token, key] = [randomBytes(20).toString("hex"), randomBytes(20).toString("hex")];
    const shows = (text: string): boolean => text.includes(token) || text.includes(key);
    const unit = `[Service]\nType=oneshot\nEnvironment=KEY=${key}\nExecStart=/bin/true\n`;
    const places: Record<string, string> = {};
    // They stay: to take them back would take minutes, and nothing builds on what was.
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
    places.backend = await must("sh", [
      "-c",
      'find "$1" -type f -exec cat {} +',
      "sh",
      backendFolder(lab.instance),
    ]);
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

  test("providers in the state hold less than 1 KB of code each", async () => {
    const state = JSON.parse(await lab.state()) as {
      deployment: { resources: { inputs?: { __provider?: string } }[] };
    };
    const sizes = state.deployment.resources
      .map(({ inputs }) => inputs?.__provider?.length ?? 0)
      .filter(Boolean);
    expect(sizes.length).toBeGreaterThan(30);
    expect(Math.max(...sizes)).toBeLessThan(1024);
  });
});
