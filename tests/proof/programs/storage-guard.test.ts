import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderStorageGuard } from "@moorage/render";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readIf } from "../../../lab/exec";
import { pause, until } from "../../support/waiting";
import { OwnNetwork, type Said } from "./ownNetwork";
import { asking, member } from "./storageMembers";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-guard-"));
/** How members are asked, each with a script that could not do it in the other way. */
const text = renderStorageGuard({ service: "minio-a", others: 3, place: 0 });
const withoutCurl = text.replaceAll("curl -q", "no-curl -q");
/** As Flatcar's bash takes it. */
const withoutDevTcp = text.replaceAll("/dev/tcp/", "/dev/no-tcp/");
/** To it one that does not answer is never silent for that. */
const patient = withoutDevTcp.replace("limit=4", "limit=4000");
const script = (way: string): string => path.join(folder, way);
const members = ["10.9.0.2", "10.9.0.3", "10.9.0.4"];
/** Of one that moves. */
const another = "10.9.0.5";

/** This node's MinIO: it waits for something of each member, says whose connection has ended, and stays when all have. */
const waiting = `
  for (const address of process.argv.slice(1)) {
    const socket = require("node:net").connect(9000, address, () => socket.write("GET /object HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"));
    socket.on("error", () => undefined).on("close", () => console.log(address));
  }
  console.log("waits");
  setInterval(() => undefined, 60_000);`;

/** A network with the members' addresses, for which rules count as they do for those of other hosts, and one to ask from. */
const addresses = [
  "ip address add 10.9.0.1/32 dev lo",
  ...[...members, another].flatMap((address) => [
    `ip address add ${address}/32 dev lo`,
    `ip route replace local ${address} dev lo table local src 10.9.0.1`,
  ]),
  "ip rule add priority 100 lookup local",
  "ip rule del priority 0 lookup local",
];

beforeAll(() => {
  fs.writeFileSync(script("curl"), withoutDevTcp);
  fs.writeFileSync(script("bash"), withoutCurl);
  fs.writeFileSync(script("patient"), patient);
  fs.writeFileSync(script("none"), withoutCurl.replaceAll("/dev/tcp/", "/dev/no-tcp/"));
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

/** The processes by which an address is asked. */
const askers = (address: string): string[] =>
  fs
    .readdirSync("/proc")
    .map((pid) => readIf(`/proc/${pid}/cmdline`) ?? "")
    .filter((line) => line.endsWith(`ask ${address}\0`) || line.includes(`//${address}:9000/`));
const isAsked = (address: string): boolean => askers(address).length > 0;

const guarded = (network: OwnNetwork, way: string, minio: Said): Said =>
  network.run("bash", script(way), "guard", String(minio.child.pid));

/** Members of MinIO, this node's MinIO, and what guards it by now. */
async function started(network: OwnNetwork, way: string) {
  await network.start(addresses);
  const servers = members.map((address) => network.node(member, address));
  await until("the guard, or a member, shows that", async () =>
    expect(servers.map(({ text }) => text.trim())).toEqual(members.map(() => "listens")),
  );
  const minio = network.node(waiting, ...members);
  await until("the guard, or a member, shows that", async () => expect(minio.text).toBe("waits\n"));
  const guard = guarded(network, way, minio);
  // One that has never answered is not silent for what does not come.
  await until("the guard, or a member, shows that", async () =>
    expect(servers.map(({ text }) => text.trim())).toEqual(members.map(() => "listens\nasked")),
  );
  return { servers, minio, guard };
}

describe.each(["curl", "bash"])("connections to members of MinIO, which are asked by %s,", (way) => {
  const network = new OwnNetwork();
  let servers: Said[];
  let minio: Said;
  let guard: Said;

  beforeAll(async () => {
    ({ servers, minio, guard } = await started(network, way));
  });
  afterAll(() => network.end());

  /** Whether the kernel refuses MinIO a new connection at once, which it accepts for a frozen process. */
  const refusedNow = async (address: string): Promise<boolean> => {
    const said = network.run("bash", "-c", `timeout 1 bash -c ': >/dev/tcp/${address}/9000' 2>&1`);
    await new Promise((resolve) => said.child.once("close", resolve));
    return said.text.includes("unreachable");
  };
  const signal = (at: number, name: NodeJS.Signals): unknown => servers[at]?.child.kill(name);

  /** Freezes the first member until it is refused. Where the others are too busy to answer in time, none is: then once more. */
  const firstIsRefused = async (times: number, check: () => void): Promise<void> => {
    await pause(2000);
    signal(0, "SIGSTOP");
    try {
      await until("the guard, or a member, shows that", async () => check());
    } catch (error) {
      if (times === 1) throw error;
      signal(0, "SIGCONT");
      return firstIsRefused(times - 1, check);
    }
    signal(0, "SIGCONT");
  };

  it.each([
    ["all answer", [], 0],
    ["two do not for a moment", [0, 1], 3500],
    ["none does", [0, 1, 2], 9000],
  ] as const)("are left alone while %s", async (_what, silent, milliseconds) => {
    await pause(2500);
    for (const at of silent) signal(at, "SIGSTOP");
    await pause(milliseconds);
    expect(minio.text).toBe("waits\n");
    expect(guard.text).toBe("");
    for (const at of silent) signal(at, "SIGCONT");
    await pause(1500);
    expect(guard.text).toBe("");
  });

  it("are ended to the one that is silent, which is still answered, and to no other", async () => {
    signal(1, "SIGSTOP");
    await until("the guard, or a member, shows that", async () =>
      expect(minio.text).toBe("waits\n10.9.0.3\n"),
    );
    const said = "10.9.0.3 is silent: its connections are ended, new ones refused\n";
    await until("the guard, or a member, shows that", async () => expect(guard.text).toBe(said));
    await until("the guard, or a member, shows that", async () =>
      expect(await refusedNow("10.9.0.3")).toBe(true),
    );
    expect(await refusedNow("10.9.0.2")).toBe(false);
    const own = network.node(member, "10.9.0.1");
    await until("the guard, or a member, shows that", async () => expect(own.text).toBe("listens\n"));
    const asked = network.node(asking, "10.9.0.3", "10.9.0.1");
    await until("the guard, or a member, shows that", async () => expect(asked.text).toBe("200\n"));
    own.child.kill("SIGKILL");
    signal(1, "SIGCONT");
    await until("the guard, or a member, shows that", async () =>
      expect(guard.text).toMatch(/^10\.9\.0\.3 answers again$/m),
    );
    const last = network.node(waiting, "10.9.0.3");
    await pause(3500);
    expect(last.text).toBe("waits\n");
    expect(minio.text).toBe("waits\n10.9.0.3\n");
  });

  it("are ended to two that are silent for long, until each of them answers", async () => {
    signal(0, "SIGSTOP");
    signal(2, "SIGSTOP");
    await until("the guard, or a member, shows that", async () =>
      expect(minio.text.split("\n").slice(2, -1).sort()).toEqual(["10.9.0.2", "10.9.0.4"]),
    );
    for (const [at, address] of members.entries()) expect(await refusedNow(address)).toBe(at !== 1);
    signal(0, "SIGCONT");
    await until("the guard, or a member, shows that", async () =>
      expect(guard.text).toMatch(/^10\.9\.0\.2 answers again$/m),
    );
    for (const [at, address] of members.entries()) expect(await refusedNow(address)).toBe(at === 2);
    signal(2, "SIGCONT");
    await until("the guard, or a member, shows that", async () =>
      expect(await refusedNow("10.9.0.4")).toBe(false),
    );
  });

  it("are not refused any more once nobody guards them", async () => {
    signal(2, "SIGSTOP");
    await until("the guard, or a member, shows that", async () =>
      expect(await refusedNow("10.9.0.4")).toBe(true),
    );
    guard.child.kill("SIGTERM");
    await until("the guard, or a member, shows that", async () =>
      expect(guard.child.exitCode).not.toBeNull(),
    );
    expect(await refusedNow("10.9.0.4")).toBe(false);
    signal(2, "SIGCONT");
    await until("the guard, or a member, shows that", async () =>
      expect(members.flatMap(askers)).toEqual([]),
    );
    guard = guarded(network, way, minio);
  });

  it("are ended though another address is silent for good, as its member has left it", async () => {
    const moved = network.node(member, another);
    await until("the guard, or a member, shows that", async () => expect(moved.text).toBe("listens\n"));
    const connected = network.node(waiting, another);
    const connectedToAll = network.node(waiting, ...members);
    const all = [...members, another];
    await until("the guard, or a member, shows that", async () => expect(all.filter(isAsked)).toEqual(all));
    for (const { child } of [connected, moved]) child.kill("SIGKILL");
    // What is sent there is lost.
    const leave = [
      `ip address del ${another}/32 dev lo`,
      "ip link add lost type veth peer name void",
      "ip link set lost up && ip link set void up",
      `ip neighbour add ${another} lladdr 02:00:00:00:00:05 dev lost`,
      `ip route add ${another}/32 dev lost`,
    ];
    const left = network.run("sh", "-ec", leave.join("; "));
    await until("the guard, or a member, shows that", async () =>
      expect(left.child.exitCode, left.text).toBe(0),
    );
    // Longer than a member is waited for.
    await pause(4000);
    await firstIsRefused(3, () => expect(connectedToAll.text, guard.text).toBe("waits\n10.9.0.2\n"));
    expect(await refusedNow(another)).toBe(false);
  });

  it("are asked about by nobody once the guard is gone, however it went", async () => {
    expect(members.some(isAsked)).toBe(true);
    guard.child.kill("SIGKILL");
    await until("the guard, or a member, shows that", async () =>
      expect([...members, another].flatMap(askers)).toEqual([]),
    );
    minio = network.node(waiting, ...members);
    guard = guarded(network, way, minio);
    await until("the guard, or a member, shows that", async () => expect(members.some(isAsked)).toBe(true));
  });

  it("are looked after as long as MinIO's process lives", async () => {
    minio.child.kill("SIGKILL");
    await until("the guard, or a member, shows that", async () => expect(guard.child.exitCode).toBe(0));
    await until("the guard, or a member, shows that", async () =>
      expect([...members, another].flatMap(askers)).toEqual([]),
    );
  });
});

describe("connections to a member of MinIO whose kernel takes none,", () => {
  let network: OwnNetwork;

  beforeEach(() => {
    network = new OwnNetwork();
  });
  afterEach(() => network.end());

  const lost = (address: string): string =>
    `INPUT --destination ${address} --protocol tcp --dport 9000 --syn --jump DROP`;

  it("are ended before it has been silent for long, and taken again once it does", async () => {
    const { servers, minio, guard } = await started(network, "patient");
    await pause(2500);
    // Its kernel takes them, so it is only waited for.
    servers[1]?.child.kill("SIGSTOP");
    await pause(4000);
    expect(guard.text).toBe("");
    servers[1]?.child.kill("SIGCONT");
    network.run("sh", "-c", `iptables --append ${lost("10.9.0.4")}`);
    await until("the guard, or a member, shows that", async () =>
      expect(minio.text).toBe("waits\n10.9.0.4\n"),
    );
    const said = "10.9.0.4 is silent: its connections are ended, new ones refused\n";
    await until("the guard, or a member, shows that", async () => expect(guard.text).toBe(said));
    network.run("sh", "-c", `iptables --delete ${lost("10.9.0.4")}`);
    await until("the guard, or a member, shows that", async () =>
      expect(guard.text).toMatch(/^10\.9\.0\.4 answers again$/m),
    );
  });

  it("are ended at an address where it has never answered, while it answers at no other", async () => {
    const { servers, guard } = await started(network, "patient");
    await pause(2500);
    servers[2]?.child.kill("SIGKILL");
    const dropping = network.run("sh", "-c", `iptables --append ${lost(another)}`);
    await until("the guard, or a member, shows that", async () =>
      expect(dropping.child.exitCode, dropping.text).toBe(0),
    );
    const connecting = network.node(waiting, another);
    await until("the guard, or a member, shows that", async () =>
      expect(connecting.text).toBe(`waits\n${another}\n`),
    );
    const said = `${another} is silent: its connections are ended, new ones refused\n`;
    await until("the guard, or a member, shows that", async () => expect(guard.text).toBe(said));
    const moved = network.node(member, another);
    await until("the guard, or a member, shows that", async () => expect(moved.text).toBe("listens\n"));
    network.run("sh", "-c", `iptables --delete ${lost(another)}`);
    await until("the guard, or a member, shows that", async () =>
      expect(guard.text).toBe(`${said}${another} answers again\n`),
    );
  });
});

describe("the storage guard", () => {
  it("says that it can ask nobody, once, and then does nothing", async () => {
    const guard = spawn("bash", [script("none"), "watch"]);
    let said = "";
    guard.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    await until("the guard, or a member, shows that", async () =>
      expect(said).toMatch(/^a silent member is not refused: .*curl 7\.84.*\n$/),
    );
    await until("the guard, or a member, shows that", async () =>
      expect(readIf(`/proc/${guard.pid}/cmdline`)).toBe("sleep\0infinity\0"),
    );
    guard.kill();
  });
});
