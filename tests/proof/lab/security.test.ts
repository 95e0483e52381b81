/** What docs/security.md claims, on real hosts. */
import { createHash } from "node:crypto";
import * as tls from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import type { RegistryAccess } from "../../../lab/journey/push";
import { holdersOf } from "../../support/vip";
import { documentedChecks, swarmFacts, verdicts } from "../../support/dockerBench";
import {
  authorized,
  filling,
  forkedIn,
  forking,
  killed,
  ownLimits,
  programKey,
  sliceLimits,
  startedOn,
} from "../../support/hardening";
import { expectNoSecret, passwordsAndKeysOf } from "../../support/secrets";
import { ask, TestLab, type Answer } from "../../support/testLab";
import { until } from "../../support/waiting";

const managers = ["coreos1", "coreos2", "coreos3"];
const repository = "security/app";

let lab: TestLab;
let access: RegistryAccess;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
});

const containersOn = async (node: string): Promise<string[]> =>
  (await lab.mustRoot(node, "docker ps --format '{{.Names}}'")).trim().split("\n");

describe("a container", () => {
  /** User, capabilities by Linux's numbers, and writable folders. */
  const expected: [name: RegExp, uid: string, capabilities: number[], writable: string[]][] = [
    [/^nginx\./, "65533", [], ["/tmp", "/tmp/client_body", "/tmp/proxy", "/var/cache/nginx"]],
    [/^registry-/, "65532", [], ["/tmp"]],
    [/^haproxy-/, "65531", [], ["/tmp"]],
    [/^minio-/, "0", [], ["/tmp", "/data"]],
    [/^moorage-keepalived$/, "0", [6, 7, 11, 12, 13], ["/tmp", "/run"]],
    [/^moorage-etcd$/, "61000", [], ["/var/lib/moorage/data/etcd/store"]],
  ];
  const looked = [
    "cat /proc/1/status",
    'for folder in / /etc /usr/bin /var /dev/shm "$@"; do',
    '  (: > "$folder/.tried") 2>/dev/null && rm "$folder/.tried" && echo "writable: $folder"',
    "done",
  ].join("\n");

  test.each(["coreos1", "coreos4"])(
    "on %s has the user, capabilities and writable folders of the table",
    async (node) => {
      const names = await containersOn(node);
      for (const name of names) {
        const [, uid, capabilities = [], folders = []] = expected.find(([one]) => one.test(name)) ?? [];
        expect(uid, `${name} is in the table`).toBeDefined();
        const inside = `docker exec ${name} sh -c '${looked}' sh ${folders.join(" ")}`;
        const said = await lab.mustRoot(node, inside);
        const status = (key: string): string => new RegExp(`^${key}:\\s*(\\S+)`, "m").exec(said)?.[1] ?? "";
        const bits = capabilities.reduce((sum, at) => sum | (1n << BigInt(at)), 0n);
        expect(BigInt(`0x${status("CapBnd")}`), name).toBe(bits);
        expect(BigInt(`0x${status("CapEff")}`) & ~bits, name).toBe(0n);
        expect(status("NoNewPrivs"), name).toBe("1");
        expect(status("Uid"), name).toBe(uid);
        const writable = [...said.matchAll(/^writable: (.*)$/gm)].map(([, folder]) => folder ?? "");
        expect(writable.filter((one) => one !== "/dev/shm").sort(), name).toEqual([...folders].sort());
      }
    },
  );

  test("shares its node's limits of processes and memory with the other containers", async () => {
    for (const { name } of lab.nodes) {
      const total =
        Number(/MemTotal: +(\d+)/.exec(await lab.mustRoot(name, "cat /proc/meminfo"))?.[1]) * 1024;
      const memory = await lab.mustRoot(name, "systemctl show --value --property MemoryMax moorage.slice");
      expect(Number(memory) / total, name).toBeCloseTo(0.8, 2);
      const limits = { processes: "4096", memory: memory.trim() };
      expect(await sliceLimits(lab, name), name).toEqual(limits);
      const pids = "docker ps -q | xargs docker inspect --format '{{.State.Pid}}'";
      const groups = await lab.mustRoot(
        name,
        `for pid in $(${pids}); do grep -E 'pids|^0::' /proc/$pid/cgroup; done`,
      );
      const lines = groups
        .trim()
        .split("\n")
        .filter((line) => line.includes("pids") || !groups.includes("pids"));
      for (const line of lines) expect(line).toMatch(/:\/.*moorage\.slice\//);
      expect(await lab.mustRoot(name, "systemctl show --value --property TasksMax moorage.slice")).toBe(
        "4096\n",
      );
    }
  });

  test("of keepalived or etcd has limits of its own, too", async () => {
    const keepalived = { processes: "128", memory: String(128 * 2 ** 20) };
    expect(await ownLimits(lab, "coreos1", "moorage-keepalived")).toEqual(keepalived);
    expect(await ownLimits(lab, "coreos1", "moorage-etcd")).toMatchObject({ processes: "1024" });
  });

  test("of a service has a memory limit, and folders in memory of a size", async () => {
    const mebibytes = { minio: 4096, registry: 2048, nginx: 1024, haproxy: 256 };
    for (const [program, size] of Object.entries(mebibytes)) {
      const found = await lab.mustRoot(
        "coreos1",
        `docker ps --format '{{.Names}}' --filter name=^${program}`,
      );
      const container = found.trim();
      const { memory } = await ownLimits(lab, "coreos1", container);
      expect(memory, program).toBe(String(size * 2 ** 20));
      const mounts = await lab.mustRoot("coreos1", `docker exec ${container} cat /proc/mounts`);
      const folders = mounts.split("\n").filter((line) => / \/tmp(\/\S+)? tmpfs /.test(line));
      expect(folders, program).toHaveLength(program === "nginx" ? 3 : 1);
      for (const folder of folders) expect(folder, program).toMatch(/\bsize=\d+k\b/);
    }
  });

  test("of keepalived cannot start too many processes, and one that takes too much memory is killed", async () => {
    const holders = await holdersOf(lab.instance);
    const node = lab.nodes.find(({ name }) => !holders.includes(name))?.name ?? "";
    const before = await startedOn(lab, node);
    const inside = (line: string) =>
      lab.mustRoot(node, `timeout 60 docker exec moorage-keepalived sh -c '${line}' 2>&1; true`);
    const checks = () =>
      lab.mustRoot(node, "docker exec moorage-keepalived /etc/moorage/keepalived/check.sh");
    try {
      const forked = forkedIn(await inside(forking(200, 3)));
      expect(forked.refused).toBe(true);
      // Its own are among the 128.
      expect(forked.started).toBeLessThan(128);
      expect(forked.started).toBeGreaterThan(64);
      await until("keepalived can run its check again", checks);
      // More than its memory and as much swap.
      expect(await inside(filling(300))).toContain(killed);
      await until("keepalived can run its check again", checks);
      expect(await startedOn(lab, node)).toEqual(before);
    } finally {
      await lab.mustRoot(node, "systemctl restart moorage-keepalived.service");
    }
  });

  test("has no password and no private key in its environment or on its command line", async () => {
    const secrets = await passwordsAndKeysOf(lab);
    expect(secrets.length).toBeGreaterThan(20);
    // MinIO's client has some while it runs (docs/security.md).
    const environments = "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -v '^MC_HOST_'";
    const commandLines = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '";
    for (const { name } of lab.nodes) {
      const containers = await lab.mustRoot(name, "docker ps -q | xargs docker inspect");
      expect(containers).toContain("MINIO_ROOT_USER_FILE");
      expectNoSecret(secrets, {
        [`containers of ${name}`]: containers,
        [`environments on ${name}`]: await lab.mustRoot(name, `{ ${environments}; } 2>/dev/null`),
        [`command lines on ${name}`]: await lab.mustRoot(name, `{ ${commandLines}; } 2>/dev/null`),
      });
    }
  });
});

test("only the configured keys give access by SSH", async () => {
  // The lab's configuration has none but the program's own.
  const key = await programKey(lab);
  for (const { name } of lab.nodes) {
    expect(await authorized(lab, name), name).toEqual([`/home/core ${key}`, `/home/usera ${key}`]);
  }
});

// Other wrong requests: tests/unit/render/programs/nginx-abuse.test.ts.
test.each(["truncated", "endless"])(
  "an upload that is %s leaves no blob and restarts no container",
  async (kind) => {
    const asAdmin = (method: string, target: string): Promise<Answer> =>
      ask(lab, access, target, {
        method,
        user: access.username,
        password: access.password,
        timeoutMs: 60_000,
      });
    const running = async (): Promise<string[]> =>
      (await Promise.all(lab.nodes.map(({ name }) => startedOn(lab, name)))).flat();
    const before = await running();
    const { status, headers } = await asAdmin("POST", `/v2/${repository}/blobs/uploads/`);
    expect(status).toBe(202);
    const target = String(headers.location);
    const socket = tls.connect({
      host: "127.0.0.1",
      port: lab.instance.registryPort,
      ca: access.caCertificate,
    });
    socket.on("error", () => undefined);
    const login = Buffer.from(`${access.username}:${access.password}`).toString("base64");
    const length = kind === "truncated" ? "Content-Length: 90000000" : "Transfer-Encoding: chunked";
    const head = [
      "Host: registry",
      `Authorization: Basic ${login}`,
      "Content-Type: application/octet-stream",
    ];
    socket.write(`PATCH ${target} HTTP/1.1\r\n${[...head, length].join("\r\n")}\r\n\r\n`);
    const part = Buffer.alloc(1 << 20, kind);
    const bytes =
      kind === "truncated" ? part : Buffer.concat([Buffer.from("100000\r\n"), part, Buffer.from("\r\n")]);
    for (let sent = 0; sent < 48; sent++) {
      await new Promise<void>((resolve) => void socket.write(bytes, () => resolve()));
    }
    socket.destroy();
    const whole = createHash("sha256")
      .update(Buffer.concat(Array<Buffer>(48).fill(part)))
      .digest("hex");
    expect((await asAdmin("HEAD", `/v2/${repository}/blobs/sha256:${whole}`)).status).toBe(404);
    // 416: the registry has received more than it has acknowledged.
    const isDeleted = async (): Promise<void> =>
      expect([202, 204, 404, 416]).toContain((await asAdmin("DELETE", target)).status);
    await until("the upload is deleted", isDeleted, { netSeconds: 180 });
    expect(await running()).toEqual(before);
  },
);

test("guessed passwords block their address, except for a login that worked before, and no other address", async () => {
  const url = `--cacert /etc/docker/certs.d/${access.host}/ca.crt https://${access.host}/v2/`;
  const code = "-s -o /dev/null -w '%{http_code}\\n'";
  const guessed = await lab.client(
    "client2",
    `for n in $(seq 1 30); do curl ${code} --user admin:guess$n ${url}; done`,
  );
  expect(guessed.trim().split("\n").slice(0, 10)).toEqual(Array<string>(10).fill("401"));
  expect(guessed.split("429").length - 1).toBeGreaterThan(5);
  const good = `read -r secret; curl ${code} --user "${access.username}:$secret" ${url}`;
  for (const client of ["client1", "client2"])
    expect(await lab.client(client, good, `${access.password}\n`)).toBe("200\n");
});

test("a large layer over a slow line takes longer than any pause may last, and arrives", async () => {
  const curl = `curl -fsS --cacert /etc/docker/certs.d/${access.host}/ca.crt --user "${access.username}:$secret"`;
  const url = `https://${access.host}/v2/${repository}/blobs/uploads/`;
  const script = [
    "read -r secret",
    "trap 'rm -f /tmp/slow' EXIT",
    "head -c 7000000 /dev/urandom > /tmp/slow",
    "digest=sha256:$(sha256sum /tmp/slow | cut -d' ' -f1)",
    `location=$(${curl} -X POST -D - -o /dev/null ${url} | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')`,
    `case $location in /*) location=https://${access.host}$location ;; esac`,
    `${curl} -X PUT --limit-rate 100k -H 'Content-Type: application/octet-stream' --data-binary @/tmp/slow "$location&digest=$digest"`,
    `${curl} ${url.replace("uploads/", "")}$digest | cmp - /tmp/slow && echo the same`,
  ].join("\n");
  const since = Date.now();
  expect(await lab.client("client1", script, `${access.password}\n`)).toContain("the same");
  // A shorter upload shows nothing.
  expect((Date.now() - since) / 1000).toBeGreaterThan(62);
});

test("docker-bench-security's checks of Swarm have the results in docs/security.md", async () => {
  const page = documentedChecks();
  for (const { number, holds, why } of page) {
    if (holds !== "yes") expect(why, `${number} says why`).not.toBe("");
  }
  const columns = Object.fromEntries(page.map(({ number, holds }) => [number, holds]));
  for (const node of managers) expect(verdicts(await swarmFacts(lab, node)), node).toEqual(columns);
});
