import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderSwarmGuard } from "@moorage/render";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pause, until } from "../../support/waiting";
import { OwnNetwork } from "./ownNetwork";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-swarm-guard-"));
const at = (name: string): string => path.join(folder, name);
const manager = "10.9.0.1";
const nodes = { b: "10.9.0.2", c: "10.9.0.3" };

/** A manager's port, on which connections stand. */
const listening = `
  require("node:net")
    .createServer((socket) => socket.on("error", () => undefined))
    .listen(2377, "${manager}", () => console.log("listens"));`;

/** An agent: it says when its connection stands, and when it has ended. */
const agent = `
  const { connect } = require("node:net");
  connect({ host: "${manager}", port: 2377, localAddress: process.argv[1] })
    .on("connect", () => console.log("stands"))
    .on("error", () => undefined)
    .on("close", () => console.log("ended"));`;

const addresses = [manager, ...Object.values(nodes)].map((address) => `ip address add ${address}/32 dev lo`);
/** Docker is what lies in the folder. */
const network = new OwnNetwork({ ...process.env, PATH: `${folder}:${process.env.PATH ?? ""}` });

/** What the Swarm counts as down. */
const down = (...names: (keyof typeof nodes)[]): void => fs.writeFileSync(at("down"), names.join("\n"));

beforeAll(async () => {
  const text = renderSwarmGuard();
  const impatient = text.replace("interval=20 limit=4", "interval=0.2 limit=4");
  expect(impatient).not.toBe(text);
  fs.writeFileSync(at("guard"), impatient);
  const docker = `#!/bin/sh
case "$1 $2" in
"node ls") sed 's/^/Down /' ${at("down")}; echo; echo Ready a ;;
"node inspect") shift 4; for id; do case $id in ${Object.entries(nodes)
    .map(([name, address]) => `${name}) echo ${name} ${address} ;;`)
    .join(" ")} esac; done ;;
esac`;
  fs.writeFileSync(at("docker"), docker, { mode: 0o755 });
  down();
  await network.start(addresses);
});

afterAll(() => {
  network.end();
  fs.rmSync(folder, { recursive: true });
});

it("ends the connection of a node that is down and connected, and no other one", async () => {
  const server = network.node(listening);
  await until("the guard, or a node, shows that", async () => expect(server.text).toBe("listens\n"));
  const [b, c] = [network.node(agent, nodes.b), network.node(agent, nodes.c)];
  await until("the guard, or a node, shows that", async () =>
    expect([b.text, c.text]).toEqual(["stands\n", "stands\n"]),
  );
  const guard = network.run("bash", at("guard"));
  await pause(2000);
  expect([b.text, c.text, guard.text]).toEqual(["stands\n", "stands\n", ""]);

  down("b");
  await until("the guard, or a node, shows that", async () => expect(b.text).toBe("stands\nended\n"));
  const said = "b is connected, and the Swarm counts it as down: it has to register anew\n";
  await until("the guard, or a node, shows that", async () => expect(guard.text).toBe(said));
  // It is down all the same while nobody connects: there is nothing to end.
  await pause(2000);
  expect([c.text, guard.text]).toEqual(["stands\n", said]);
});

it("gives a node time that has just come back", async () => {
  const c = network.node(agent, nodes.c);
  await until("the guard, or a node, shows that", async () => expect(c.text).toBe("stands\n"));
  down("c");
  await pause(300);
  down();
  await pause(2000);
  expect(c.text).toBe("stands\n");
});
