import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderStorageGuard } from "@moorage/render";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readIf } from "../../../lab/exec";
import { eventually } from "../../support/testLab";
import { OwnNetwork, type Said } from "./ownNetwork";
import { asking, member } from "./storageMembers";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-guard-"));
/** How members are asked, each with a script that could not do it in the other way. */
const text = renderStorageGuard({ service: "minio-a", others: 3, place: 0 });
const withoutCurl = text.replaceAll("curl -q", "no-curl -q");
/** As Flatcar's bash takes it. */
const withoutDevTcp = text.replaceAll("/dev/tcp/", "/dev/no-tcp/");
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

describe.each(["curl", "bash"])("connections to members of MinIO, which are asked by %s,", (way) => {
  const network = new OwnNetwork();
  const guarded = (): Said => network.run("bash", script(way), "guard", String(minio.child.pid));
  let servers: Said[];
  let minio: Said;
  let guard: Said;

  beforeAll(async () => {
    await network.start(addresses);
    servers = members.map((address) => network.node(member, address));
    await eventually(20, async () =>
      expect(servers.map(({ text }) => text.trim())).toEqual(members.map(() => "listens")),
    );
    minio = network.node(waiting, ...members);
    await eventually(20, async () => expect(minio.text).toBe("waits\n"));
    guard = guarded();
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
    await new Promise((resolve) => setTimeout(resolve, 2000));
    signal(0, "SIGSTOP");
    try {
      await eventually(10, async () => check());
    } catch (error) {
      if (times === 1) throw error;
      signal(0, "SIGCONT");
      return firstIsRefused(times - 1, check);
    }
    signal(0, "SIGCONT");
  };

  it("are left alone while all answer, and while more than one does not", async () => {
    await new Promise((resolve) => setTimeout(resolve, 2500));
    signal(0, "SIGSTOP");
    signal(1, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 3500));
    expect(minio.text).toBe("waits\n");
    expect(guard.text).toBe("");
    signal(0, "SIGCONT");
    signal(1, "SIGCONT");
    await new Promise((resolve) => setTimeout(resolve, 1500));
  });

  it("are ended to the one that is silent, which is still answered, and to no other", async () => {
    signal(1, "SIGSTOP");
    await eventually(10, async () => expect(minio.text).toBe("waits\n10.9.0.3\n"));
    const said = "10.9.0.3 is silent: its connections are ended, new ones refused\n";
    await eventually(5, async () => expect(guard.text).toBe(said));
    await eventually(5, async () => expect(await refusedNow("10.9.0.3")).toBe(true));
    expect(await refusedNow("10.9.0.2")).toBe(false);
    const own = network.node(member, "10.9.0.1");
    await eventually(20, async () => expect(own.text).toBe("listens\n"));
    const asked = network.node(asking, "10.9.0.3", "10.9.0.1");
    await eventually(10, async () => expect(asked.text).toBe("200\n"));
    own.child.kill("SIGKILL");
    signal(1, "SIGCONT");
    await eventually(10, async () => expect(guard.text).toMatch(/^10\.9\.0\.3 answers again$/m));
    const last = network.node(waiting, "10.9.0.3");
    await new Promise((resolve) => setTimeout(resolve, 3500));
    expect(last.text).toBe("waits\n");
    expect(minio.text).toBe("waits\n10.9.0.3\n");
  });

  it("are not refused any more once nobody guards them", async () => {
    signal(2, "SIGSTOP");
    await eventually(10, async () => expect(await refusedNow("10.9.0.4")).toBe(true));
    guard.child.kill("SIGTERM");
    await eventually(10, async () => expect(guard.child.exitCode).not.toBeNull());
    expect(await refusedNow("10.9.0.4")).toBe(false);
    signal(2, "SIGCONT");
    await eventually(5, async () => expect(members.flatMap(askers)).toEqual([]));
    guard = guarded();
  });

  it("are ended though another address is silent for good, as its member has left it", async () => {
    const moved = network.node(member, another);
    await eventually(20, async () => expect(moved.text).toBe("listens\n"));
    const connected = network.node(waiting, another);
    const connectedToAll = network.node(waiting, ...members);
    const all = [...members, another];
    await eventually(30, async () => expect(all.filter(isAsked)).toEqual(all));
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
    await eventually(5, async () => expect(left.child.exitCode, left.text).toBe(0));
    // Longer than a member is waited for.
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await firstIsRefused(3, () => expect(connectedToAll.text, guard.text).toBe("waits\n10.9.0.2\n"));
    expect(await refusedNow(another)).toBe(false);
  }, 120_000);

  it("are asked about by nobody once the guard is gone, however it went", async () => {
    expect(members.some(isAsked)).toBe(true);
    guard.child.kill("SIGKILL");
    await eventually(10, async () => expect([...members, another].flatMap(askers)).toEqual([]));
    minio = network.node(waiting, ...members);
    guard = guarded();
    await eventually(10, async () => expect(members.some(isAsked)).toBe(true));
  });

  it("are looked after as long as MinIO's process lives", async () => {
    minio.child.kill("SIGKILL");
    await eventually(10, async () => expect(guard.child.exitCode).toBe(0));
    await eventually(5, async () => expect([...members, another].flatMap(askers)).toEqual([]));
  });
});

describe("the storage guard", () => {
  it("says that it can ask nobody, once, and then does nothing", async () => {
    const guard = spawn("bash", [script("none"), "watch"]);
    let said = "";
    guard.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    await eventually(10, async () =>
      expect(said).toMatch(/^a silent member is not refused: .*curl 7\.84.*\n$/),
    );
    await eventually(10, async () => expect(readIf(`/proc/${guard.pid}/cmdline`)).toBe("sleep\0infinity\0"));
    guard.kill();
  });
});
