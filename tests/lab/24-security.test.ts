import { createHash } from "node:crypto";
import * as tls from "node:tls";
import { beforeAll, describe, expect, test } from "vitest";
import type { RegistryAccess } from "../../lab/journey/push";
import { holdersOf } from "../chaos/vip";
import { documentedChecks, swarmFacts, verdicts } from "../support/dockerBench";
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
  TriedSlice,
} from "../support/hardening";
import { expectNoSecret, passwordsAndKeysOf } from "../support/secrets";
import { ask, eventually, TestLab, type Answer } from "../support/testLab";

const managers = ["coreos1", "coreos2", "coreos3"];
const repository = "security/app";
const sha256 = (content: string | Buffer): string =>
  `sha256:${createHash("sha256").update(content).digest("hex")}`;

let lab: TestLab;
let access: RegistryAccess;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
});

const containersOn = async (node: string): Promise<string[]> =>
  (await lab.mustRoot(node, "docker ps --format '{{.Names}}'")).trim().split("\n");

describe("a container", () => {
  /** User and capabilities; the numbers are Linux's, as `capabilities(7)` counts them. */
  const expected: [name: RegExp, uid: string, capabilities: number[], writable: string[]][] = [
    [/^nginx\./, "101", [], ["/tmp"]],
    [/^registry-/, "65532", [], ["/tmp"]],
    [/^s3-/, "99", [], ["/tmp"]],
    [/^minio-/, "0", [], ["/tmp", "/data"]],
    [/^moorage-keepalived$/, "0", [6, 7, 11, 12, 13], ["/tmp", "/run", "/run/moorage-keepalived"]],
    [/^moorage-etcd$/, "61000", [], ["/var/lib/moorage/data/etcd"]],
  ];
  const looked = [
    "cat /proc/1/status",
    // Where a test file can be made, and cannot.
    'for folder in / /etc /usr/bin /var /dev/shm "$@"; do',
    '  (: > "$folder/.tried") 2>/dev/null && rm "$folder/.tried" && echo "writable: $folder"',
    "done",
  ].join("\n");

  test.each(["coreos1", "coreos4"])(
    "on %s has no rights that it does not need, seen from inside",
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

  test("shares its node's limits of processes and of memory with the others", async () => {
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

  test("of keepalived or etcd has limits of its own besides, as the kernel has them", async () => {
    const keepalived = { processes: "128", memory: String(128 * 2 ** 20) };
    expect(await ownLimits(lab, "coreos1", "moorage-keepalived")).toEqual(keepalived);
    expect(await ownLimits(lab, "coreos1", "moorage-etcd")).toMatchObject({ processes: "1024" });
  });

  test("of keepalived is refused a process that is one too many, and whoever takes too much memory is ended", async () => {
    const holders = await holdersOf(lab.instance);
    const node = lab.nodes.find(({ name }) => !holders.includes(name))?.name ?? "";
    const before = await startedOn(lab, node);
    const inside = (line: string) =>
      lab.mustRoot(node, `timeout 60 docker exec moorage-keepalived sh -c '${line}' 2>&1; true`);
    try {
      const forked = forkedIn(await inside(forking(200, 3)));
      expect(forked.refused).toBe(true);
      // Its own are among the 128.
      expect(forked.started).toBeLessThan(128);
      expect(forked.started).toBeGreaterThan(64);
      // Waits until keepalived, which can start nothing meanwhile, runs its checks again.
      await lab.mustRoot(node, "sh /etc/moorage/keepalived-alive");
      // More than it may have with as much of swap.
      expect(await inside(filling(300))).toContain(killed);
      await lab.mustRoot(node, "sh /etc/moorage/keepalived-alive");
      expect(await startedOn(lab, node)).toEqual(before);
    } finally {
      // What watches beside it may have been refused a process.
      await lab.mustRoot(node, "systemctl restart moorage-keepalived.service");
    }
  });

  test("meets the limits of its slice together with the others there, while those elsewhere go on", async () => {
    const node = "coreos4";
    const before = await startedOn(lab, node);
    // In the slice of all containers they would be met by these as well.
    const slice = await TriedSlice.begin(lab, node, { tasks: 80, memory: "160M" });
    try {
      expect(forkedIn(await slice.run(forking(50, 1)))).toEqual({ started: 50, refused: false });
      await slice.hold(forking(40, 30));
      await eventually(10, async () => expect(await slice.processes()).toBeGreaterThan(40));
      const beside = forkedIn(await slice.run(forking(50, 1)));
      expect(beside.refused).toBe(true);
      expect(beside.started).toBeLessThan(40);
      expect(await slice.run(filling(40))).toContain("ended with 0");
      expect(await slice.run(filling(300))).toContain(killed);
    } finally {
      await slice.end();
    }
    expect(await startedOn(lab, node)).toEqual(before);
  });

  test("is told no password and no line of a private key in its environment or on its command line", async () => {
    const secrets = await passwordsAndKeysOf(lab);
    expect(secrets.length).toBeGreaterThan(20);
    // What MinIO's client is told while it runs, inside a container of MinIO's, docs/security.md says.
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

test("the configured keys alone let anybody in, on every node", async () => {
  // The lab's configuration has none but the program's own.
  const key = await programKey(lab);
  for (const { name } of lab.nodes) {
    expect(await authorized(lab, name), name).toEqual([`/home/core ${key}`, `/home/usera ${key}`]);
  }
});

describe("what makes no sense", () => {
  const asAdmin = (
    method: string,
    target: string,
    more: { body?: string | Buffer; headers?: Record<string, string> } = {},
  ) =>
    ask(lab, access, target, {
      method,
      user: access.username,
      password: access.password,
      timeoutMs: 60_000,
      ...more,
    });

  const running = async (): Promise<string[]> =>
    (await Promise.all(lab.nodes.map(({ name }) => startedOn(lab, name)))).flat();

  const begin = async (): Promise<string> => {
    const { status, headers } = await asAdmin("POST", `/v2/${repository}/blobs/uploads/`);
    expect(status).toBe(202);
    return String(headers.location);
  };
  const withDigest = (location: string, digest: string): string =>
    `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;

  const layer = Buffer.alloc(300_000, "layer");
  const config = Buffer.from("{}");
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: sha256(config),
      size: config.length,
    },
    layers: [
      { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: sha256(layer), size: layer.length },
    ],
  });
  const asManifest = { "Content-Type": "application/vnd.oci.image.manifest.v1+json" };
  let before: string[];

  beforeAll(async () => {
    for (const blob of [layer, config]) {
      const headers = { "Content-Type": "application/octet-stream" };
      const put = await asAdmin("PUT", withDigest(await begin(), sha256(blob)), { body: blob, headers });
      expect(put.status, put.body).toBe(201);
    }
    const put = await asAdmin("PUT", `/v2/${repository}/manifests/1`, {
      body: manifest,
      headers: asManifest,
    });
    expect(put.status, put.body).toBe(201);
    before = await running();
  });

  const at = (rest: string): string => `/v2/${repository}/${rest}`;
  const lie = sha256("something else");
  const cases: [what: string, () => Promise<Answer>][] = [
    [
      "a digest of another content",
      async () => asAdmin("PUT", withDigest(await begin(), lie), { body: "some" }),
    ],
    [
      "a digest that is none",
      async () => asAdmin("PUT", withDigest(await begin(), "sha256:../../x"), { body: "some" }),
    ],
    [
      "an upload that nobody began",
      () => asAdmin("PATCH", at("blobs/uploads/6b1b1a5e-0000-4000-8000-000000000000"), { body: "some" }),
    ],
    [
      "an upload's state by another",
      async () =>
        asAdmin("PATCH", (await begin()).replace(/_state=.{8}/, "_state=AAAAAAAA"), { body: "some" }),
    ],
    [
      "a range that does not follow",
      async () => asAdmin("PATCH", await begin(), { body: "some", headers: { "Content-Range": "100-103" } }),
    ],
    ["a manifest that is none", () => asAdmin("PUT", at("manifests/2"), { body: "{]", headers: asManifest })],
    [
      "a manifest of what is not there",
      () =>
        asAdmin("PUT", at("manifests/2"), {
          body: manifest.replace(sha256(layer), lie),
          headers: asManifest,
        }),
    ],
    [
      "a manifest under another digest",
      () => asAdmin("PUT", at(`manifests/${lie}`), { body: manifest, headers: asManifest }),
    ],
    [
      "a huge manifest",
      () => asAdmin("PUT", at("manifests/2"), { body: Buffer.alloc(6 << 20, 32), headers: asManifest }),
    ],
    [
      "a manifest larger than the registry takes",
      () => asAdmin("PUT", at("manifests/2"), { body: Buffer.alloc((4 << 20) + 9, 32), headers: asManifest }),
    ],
    ["a huge header", () => asAdmin("GET", at("tags/list"), { headers: { "X-Large": "x".repeat(70_000) } })],
    ["a path to elsewhere", () => asAdmin("GET", "/v2/../../etc/passwd")],
    ["an encoded path to elsewhere", () => asAdmin("GET", `/v2/${repository}/blobs/..%2f..%2fconfig.yml`)],
    ["a name with a zero byte", () => asAdmin("GET", "/v2/security%00app/tags/list")],
    ["a name that is too long", () => asAdmin("GET", `/v2/${"a/".repeat(200)}a/tags/list`)],
    ["less than no tags", () => asAdmin("GET", at("tags/list?n=-1"))],
    ["another method", () => asAdmin("PROPFIND", at("tags/list"))],
  ];

  test.each(cases)("%s is answered with a 4xx", async (_what, work) => {
    const { status } = await work().catch((error: NodeJS.ErrnoException) => {
      // A front that closes while the body is still on its way has refused it, too.
      if (error.code === "ECONNRESET" || error.code === "EPIPE") return { status: 499 };
      throw error;
    });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
  });

  test.each(["truncated", "endless"])("an upload that is %s is no blob", async (kind) => {
    const target = await begin();
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
      length,
    ];
    socket.write(`PATCH ${target} HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n`);
    const part = Buffer.alloc(1 << 20, kind);
    const bytes =
      kind === "truncated" ? part : Buffer.concat([Buffer.from("100000\r\n"), part, Buffer.from("\r\n")]);
    for (let sent = 0; sent < 48; sent++) {
      await new Promise<void>((resolve) => void socket.write(bytes, () => resolve()));
    }
    socket.destroy();
    const whole = Buffer.concat(Array<Buffer>(48).fill(part));
    expect((await asAdmin("HEAD", at(`blobs/${sha256(whole)}`))).status).toBe(404);
    // 416 where the registry kept more of it than the client was told.
    await eventually(30, async () =>
      expect([202, 204, 404, 416]).toContain((await asAdmin("DELETE", target)).status),
    );
  });

  test("has started nothing anew, and left what was there as it was", async () => {
    const got = await asAdmin("GET", at("manifests/1"), { headers: { Accept: asManifest["Content-Type"] } });
    expect(got.body).toBe(manifest);
    expect(sha256((await asAdmin("GET", at(`blobs/${sha256(layer)}`))).body)).toBe(sha256(layer));
    expect(await running()).toEqual(before);
  });
});

describe("who guesses passwords", () => {
  test("is held back at one address, and nobody else is", async () => {
    const url = `--cacert /etc/docker/certs.d/${access.host}/ca.crt https://${access.host}/v2/`;
    const code = "-s -o /dev/null -w '%{http_code}\\n'";
    const guessed = await lab.client(
      "client2",
      `for n in $(seq 1 30); do curl ${code} --user admin:guess$n ${url}; done`,
    );
    expect(guessed.trim().split("\n").slice(0, 10)).toEqual(Array<string>(10).fill("401"));
    expect(guessed.split("429").length - 1).toBeGreaterThan(5);
    const good = `read -r secret; curl ${code} --user "${access.username}:$secret" ${url}`;
    expect(await lab.client("client1", good, `${access.password}\n`)).toBe("200\n");
    // Logged in before, by the same address.
    expect(await lab.client("client2", good, `${access.password}\n`)).toBe("200\n");
  });
});

describe("a slow line", () => {
  test("carries a large layer for longer than any pause may last", async () => {
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
    expect((Date.now() - since) / 1000).toBeGreaterThan(62);
  });
});

test("each check of docker-bench-security's chapter 7 comes out as docs/security.md says", async () => {
  const page = documentedChecks();
  for (const { number, holds, why } of page) {
    if (holds !== "yes") expect(why, `${number} says why`).not.toBe("");
  }
  const columns = Object.fromEntries(page.map(({ number, holds }) => [number, holds]));
  for (const node of managers) expect(verdicts(await swarmFacts(lab, node)), node).toEqual(columns);
});
