import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { renderStorageGuard } from "@moorage/render";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readIf } from "../../../lab/exec";
import { pause, until } from "../../support/waiting";
import { OwnNetwork, type Said } from "./ownNetwork";
import { asking, member } from "./storageMembers";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-drive-"));
const drive = path.join(folder, "drive");
const fill = path.join(drive, "fill");
/** While it is there, another program holds iptables' lock. */
const lock = path.join(folder, "lock");
const members = ["10.9.1.2", "10.9.1.3", "10.9.1.4"];
const own = "10.9.1.1";
const client = "10.9.1.5";

/** Waits for something of a member, and says when its connection has ended. */
const waiting = `
  const [localAddress, host] = process.argv.slice(1);
  const socket = require("node:net").connect({ host, port: 9000, localAddress }, () => {
    socket.write("GET /object HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
    console.log("waits");
  });
  socket.on("error", () => undefined).on("close", () => console.log("ended"));`;

/** This node's MinIO: it answers, and is connected to each member. */
const minio = `${member}
  for (const address of process.argv.slice(2)) {
    const connect = () => {
      const socket = require("node:net").connect(9000, address);
      socket.on("error", () => undefined).on("close", () => setTimeout(connect, 300));
    };
    connect();
  }`;

/** Written by the place in the list of members. */
const script = (place: number): string => {
  const file = path.join(folder, `guard-${place}`);
  fs.writeFileSync(file, renderStorageGuard({ service: "minio-a", others: 3, place, drive }));
  return file;
};

describe("a member of MinIO", () => {
  const network = new OwnNetwork({ ...process.env, PATH: `${folder}:${process.env.PATH}` });
  /** Where the others are. */
  const outside = new OwnNetwork();
  let servers: Said[];
  let self: Said;
  let guard: Said;

  const done = async (said: Said): Promise<string> => {
    await new Promise((resolve) => said.child.once("close", resolve));
    expect(said.child.exitCode, said.text).toBe(0);
    return said.text.trim();
  };
  /** On the drive, which is a file system of MinIO's own. */
  const onDrive = (...command: string[]): Promise<string> =>
    done(network.run("nsenter", `--target=${self.child.pid}`, "--mount", "--", ...command));
  const remount = (how: "ro" | "rw"): Promise<string> => onDrive("mount", "-o", `remount,${how}`, drive);
  /** What this node's MinIO says to another one's question. */
  const answer = (): Promise<string> => done(outside.node(asking, members[0] as string, own));
  /** What it says to whom asks on the node itself. */
  const answerHere = (): Promise<string> => done(network.node(asking, own, own));
  const guarded = (place: number): Said =>
    network.run("bash", script(place), "guard", String(self.child.pid));

  /** Whatever tries this drive. */
  const testers = (): number[] =>
    fs
      .readdirSync("/proc")
      .filter((pid) =>
        readIf(`/proc/${pid}/cmdline`)?.endsWith(`test_drive /proc/${self.child.pid}/root${drive}\0`),
      )
      .map(Number);

  beforeAll(async () => {
    fs.mkdirSync(drive);
    const iptables = execFileSync("which", ["iptables"], { encoding: "utf8" }).trim();
    fs.writeFileSync(
      path.join(folder, "iptables"),
      `#!/bin/sh\n[ ! -e ${lock} ] || exit 4\nexec ${iptables} "$@"\n`,
      {
        mode: 0o755,
      },
    );
    await network.start([]);
    await outside.start([
      `ip link add eth0 type veth peer name eth0 netns ${network.pid}`,
      ...[...members, client].map((address) => `ip address add ${address}/24 dev eth0`),
      "ip link set eth0 up",
    ]);
    await done(network.run("sh", "-ec", `ip address add ${own}/24 dev eth0; ip link set eth0 up`));
    servers = members.map((address) => outside.node(member, address));
    const start = `mount -t tmpfs -o size=300m drive ${drive} && mkdir -p ${drive}/.minio.sys/tmp && exec "$0" "$@"`;
    self = network.run(
      "unshare",
      "--mount",
      "sh",
      "-c",
      start,
      process.execPath,
      "--eval",
      minio,
      "--",
      own,
      ...members,
    );
    await until("the guard, or a member, shows that", async () =>
      expect([...servers, self].map(({ text }) => text.trim())).toEqual(Array(4).fill("listens")),
    );
    guard = guarded(0);
  });
  afterAll(() => {
    network.end();
    outside.end();
    fs.rmSync(folder, { recursive: true });
  });

  it("stays while its drive takes what is written", async () => {
    await pause(5000);
    expect(await answer()).toBe("200");
    expect(guard.text).toBe("");
  });

  it.each([
    ["read-only", "Read-only file system", () => remount("ro"), () => remount("rw")],
    [
      "full",
      "too little room is left",
      () => onDrive("fallocate", "--length=250M", fill),
      // A little room is soon full again.
      async () => {
        await onDrive("truncate", "--size=150M", fill);
        await pause(4000);
        expect(await answer()).not.toBe("200");
        await onDrive("rm", fill);
      },
    ],
  ])("stands aside as long as its drive is %s", async (_, reason, hurt, mend) => {
    await hurt();
    await until("the guard, or a member, shows that", async () =>
      expect(await answer()).toMatch(/ECONNREFUSED|ECONNRESET/),
    );
    await until("the guard, or a member, shows that", async () =>
      expect(guard.text).toContain(`takes nothing (${reason})`),
    );
    expect(await answerHere()).toBe("200");
    await mend();
    await until("the guard, or a member, shows that", async () => expect(await answer()).toBe("200"));
    await until("the guard, or a member, shows that", async () =>
      expect(guard.text).toMatch(/takes something again: this member is back\n$/),
    );
  });

  it("lets clients come to an end, and other members not", async () => {
    const reader = outside.node(waiting, client, own);
    const other = outside.node(waiting, members[1] as string, own);
    await until("the guard, or a member, shows that", async () =>
      expect([reader.text, other.text]).toEqual(["waits\n", "waits\n"]),
    );
    await remount("ro");
    await until("the guard, or a member, shows that", async () => expect(other.text).toBe("waits\nended\n"));
    expect(reader.text).toBe("waits\n");
    expect(await answer()).not.toBe("200");
    await until("the guard, or a member, shows that", async () => expect(reader.text).toBe("waits\nended\n"));
    await remount("rw");
    await until("the guard, or a member, shows that", async () => expect(await answer()).toBe("200"));
  });

  it("is there for whoever needs it once another one is silent", async () => {
    await remount("ro");
    await until("the guard, or a member, shows that", async () => expect(await answer()).not.toBe("200"));
    servers[2]?.child.kill("SIGSTOP");
    await until("the guard, or a member, shows that", async () => expect(await answer()).toBe("200"));
    await pause(4000);
    expect(await answer()).toBe("200");
    servers[2]?.child.kill("SIGCONT");
    await until("the guard, or a member, shows that", async () => expect(await answer()).not.toBe("200"));
  });

  it("comes back once it can, though another program held the lock", async () => {
    fs.writeFileSync(lock, "");
    await remount("rw");
    await pause(4000);
    expect(await answer()).not.toBe("200");
    expect(guard.text).not.toMatch(/this member is back\n$/);
    fs.rmSync(lock);
    await until("the guard, or a member, shows that", async () => expect(await answer()).toBe("200"));
    await remount("ro");
    await until("the guard, or a member, shows that", async () => expect(await answer()).not.toBe("200"));
  });

  it("has its drive tried again where the process that does it was killed", async () => {
    for (const pid of testers()) process.kill(pid, "SIGKILL");
    await remount("rw");
    await until("the guard, or a member, shows that", async () => expect(await answer()).toBe("200"));
    await remount("ro");
    await until("the guard, or a member, shows that", async () => expect(await answer()).not.toBe("200"));
  });

  it("is back once nobody guards it", async () => {
    guard.child.kill("SIGTERM");
    await until("the guard, or a member, shows that", async () =>
      expect(guard.child.exitCode).not.toBeNull(),
    );
    expect(await answer()).toBe("200");
    await until("the guard, or a member, shows that", async () => expect(testers()).toEqual([]));
  });

  it("waits for those before it in the list of all", async () => {
    guard = guarded(2);
    await pause(6000);
    expect(await answer()).toBe("200");
    await until("the guard, or a member, shows that", async () => expect(await answer()).not.toBe("200"));
    await remount("rw");
    await until("the guard, or a member, shows that", async () => expect(await answer()).toBe("200"));
  });

  it("waits for nobody while its drive is full, but where two did so at once", async () => {
    await onDrive("fallocate", "--length=250M", fill);
    await until("the guard, or a member, shows that", async () => expect(await answer()).not.toBe("200"));
    servers[0]?.child.kill("SIGSTOP");
    await until("the guard, or a member, shows that", async () => expect(await answer()).toBe("200"));
    servers[0]?.child.kill("SIGCONT");
    await pause(5000);
    expect(await answer()).toBe("200");
    await until("the guard, or a member, shows that", async () => expect(await answer()).not.toBe("200"));
  });

  it("is taken over by who guards it next", async () => {
    guard.child.kill("SIGKILL");
    await until("the guard, or a member, shows that", async () =>
      expect(guard.child.exitCode ?? guard.child.signalCode).not.toBeNull(),
    );
    expect(await answer()).not.toBe("200");
    guard = guarded(0);
    await until("the guard, or a member, shows that", async () =>
      expect(guard.text).toContain("takes nothing (too little room is left)"),
    );
    await onDrive("rm", fill);
    await until("the guard, or a member, shows that", async () => expect(await answer()).toBe("200"));
  });
});
