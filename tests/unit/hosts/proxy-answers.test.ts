import { describe, expect, it, vi } from "vitest";
import { ManagerChoice } from "../../../hosts/src/proxy/choose";
import { sleep } from "../../../hosts/src/time";
import { dial, manager, operator, serve } from "./support/proxy";
import { CONFIG, NETWORK, SECRET } from "./support/recorded";
import { afterwards } from "./support/stop";

interface Answered {
  readonly status: number;
  readonly json: { readonly message?: string };
}

/** Asks as Docker's client does. */
async function ask(env: ReturnType<typeof operator>, path: string, method = "GET"): Promise<Answered> {
  const client = dial(env, `${method} ${path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n`);
  await client.ended;
  const [head = "", body = ""] = client.stdout.split("\r\n\r\n");
  const [text = ""] = /\{.*\}/s.exec(body) ?? [];
  return {
    status: Number(head.split(" ")[1]),
    json: (text === "" ? {} : JSON.parse(text)) as Answered["json"],
  };
}

/** A path, and how often it was asked for. */
const asked = (one: Awaited<ReturnType<typeof manager>>, path: RegExp, method = "GET") =>
  one.docker.calls(method, path).length;

describe("the Docker provider's way in, where a manager fails", () => {
  it("asks again for what is only read", async () => {
    const one = await manager("swarm-1");
    one.docker.on("GET", /secrets/, () =>
      asked(one, /secrets/) < 3
        ? { status: 500, json: { message: "rpc error: there is no leader" } }
        : { json: { ID: "secret-1" } },
    );
    const { env } = await serve([one.connection]);
    expect(await ask(env, "/v1.41/secrets/secret-1")).toEqual({ status: 200, json: { ID: "secret-1" } });
    expect(asked(one, /secrets/)).toBe(3);
  });

  it("passes on once what changes something, with Docker's own answer", async () => {
    const one = await manager("swarm-1");
    one.docker.on("POST", /secrets/, () => ({ status: 500, json: { message: "no leader" } }));
    const { env } = await serve([one.connection], { state: [SECRET] });
    expect(await ask(env, "/v1.41/secrets/create", "POST")).toEqual({
      status: 500,
      json: { message: "no leader" },
    });
    expect(asked(one, /secrets/, "POST")).toBe(1);
  });

  it("turns to another one that is a manager still", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    one.docker.on("GET", /secrets/, () => {
      one.docker.on("GET", /^\/info$/, () => ({ json: { Swarm: { LocalNodeState: "active" } } }));
      return { status: 503, json: { message: "This node is not a swarm manager." } };
    });
    two.docker.on("GET", /secrets/, () => ({ json: { ID: "secret-1" } }));
    const { env } = await serve([one.connection, two.connection]);
    expect((await ask(env, "/v1.41/secrets/secret-1")).status).toBe(200);
  });

  it("takes a manager's word that there is no secret, and for a network asks again", async () => {
    const one = await manager("swarm-1");
    one.docker.on("GET", /networks/, () =>
      asked(one, /networks/) === 1 ? { status: 404, json: {} } : { json: { Id: "network-1" } },
    );
    const { env } = await serve([one.connection], { idleSeconds: 5, state: [SECRET, NETWORK] });
    expect((await ask(env, "/v1.41/secrets/secret-1")).status).toBe(404);
    expect(asked(one, /secrets/)).toBe(1);
    expect(await ask(env, "/v1.41/networks/network-1")).toEqual({ status: 200, json: { Id: "network-1" } });
    one.docker.on("GET", /networks/, () => ({ status: 404, json: { message: "no such network" } }));
    expect((await ask(env, "/v1.41/networks/network-1")).status).toBe(404);
  });

  it("waits for an election", async () => {
    const one = await manager("swarm-1");
    one.docker.on("GET", /^\/nodes$/, () =>
      asked(one, /^\/nodes$/) < 4 ? { status: 500, json: {} } : { json: [] },
    );
    const { env } = await serve([one.connection]);
    expect((await ask(env, "/v1.41/info")).status).toBe(404);
    expect(asked(one, /^\/nodes$/)).toBe(4);
  });

  it("answers as recorded what no manager can be asked about", async () => {
    const one = await manager("swarm-1");
    const { env } = await serve([{ ...one.connection, port: 1 }], {
      idleSeconds: 8,
      state: [SECRET, CONFIG, NETWORK],
    });
    const Labels = { "moorage.stack": "moorage/dev" };
    expect((await ask(env, "/v1.41/secrets/secret-1")).json).toEqual({
      ID: "secret-1",
      Spec: { Name: "nginx-key-1", Labels },
    });
    expect((await ask(env, "/v1.41/configs/config-1")).json).toEqual({
      ID: "config-1",
      Spec: { Name: "nginx-config-1", Labels, Data: "YQ==" },
    });
    expect((await ask(env, "/v1.41/networks/network-1")).json).toEqual({
      Id: "network-1",
      Name: "services",
      Labels,
      Driver: "overlay",
      Scope: "swarm",
      Internal: false,
      Attachable: false,
      Ingress: false,
      EnableIPv6: false,
      Options: NETWORK.outputs.options,
      IPAM: {
        Driver: "default",
        Config: [{ Subnet: "10.20.1.0/24", Gateway: "10.20.1.1", IPRange: "", AuxiliaryAddresses: null }],
      },
    });
    for (const path of ["/v1.41/secrets/other", "/v1.41/secrets", "/v1.41/services"]) {
      const { status, json } = await ask(env, path);
      expect(status, path).toBe(503);
      expect(json.message, path).toMatch(/^no Swarm manager in reach: swarm-1: /);
    }
    const { status, json } = await ask(env, "/v1.41/secrets/secret-1", "DELETE");
    expect(status).toBe(503);
    expect(json.message).toMatch(/no Swarm manager in reach/);
  }, 30_000);

  it("passes on an answer that goes on for long, as it comes", async () => {
    const one = await manager("swarm-1");
    let more: (text: string) => void = () => undefined;
    one.docker.on("GET", /logs/, () => ({ hang: "first", onward: (write) => (more = write) }));
    const { env } = await serve([one.connection], { idleSeconds: 5 });
    const client = dial(env, "GET /v1.41/services/x/logs HTTP/1.1\r\nHost: docker\r\n\r\n");
    await expect.poll(() => client.stdout, { timeout: 10_000 }).toContain("first");
    more("second");
    await expect.poll(() => client.stdout, { timeout: 10_000 }).toContain("second");
    more("");
    await expect.poll(() => client.stdout, { timeout: 10_000 }).toMatch(/\r\n0\r\n\r\n$/);
  }, 30_000);
});

/** How many streams to managers are in use. */
function streamsInUse(): () => number {
  const { stream } = ManagerChoice.prototype;
  let inUse = 0;
  const spy = vi.spyOn(ManagerChoice.prototype, "stream").mockImplementation(async function (
    this: ManagerChoice,
  ) {
    const held = await stream.call(this);
    inUse += 1;
    return {
      ...held,
      release: () => {
        inUse -= 1;
        held.release();
      },
    };
  });
  afterwards(() => spy.mockRestore());
  return () => inUse;
}

describe("a client of the Docker provider's way in", () => {
  const soon = { timeout: 10_000 };

  it("that leaves in the middle of a large answer leaves no stream in use", async () => {
    const inUse = streamsInUse();
    const one = await manager("swarm-1");
    one.docker.on("GET", /archive/, () => ({ text: "x".repeat(40_000_000) }));
    const { env } = await serve([one.connection], { idleSeconds: 5 });
    const client = dial(env, "GET /v1.41/containers/x/archive HTTP/1.1\r\nHost: docker\r\n\r\n");
    client.ssh.stdout.pause();
    await expect.poll(inUse, soon).toBe(1);
    await sleep(1500);
    client.ssh.kill("SIGKILL");
    await expect.poll(inUse, soon).toBe(0);
    await expect.poll(() => one.docker.open, soon).toBe(0);
  }, 30_000);

  it("may name trailers, and chunk what it sends", async () => {
    const one = await manager("swarm-1");
    for (const method of ["POST", "DELETE"])
      one.docker.on(method, /\/x$/, ({ body }) => ({ json: { message: body } }));
    const { env } = await serve([one.connection], { idleSeconds: 5 });
    const headers = "Host: docker\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\nConnection: close";
    for (const method of ["POST", "DELETE"]) {
      const client = dial(env, `${method} /x HTTP/1.1\r\n${headers}\r\n\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n`);
      await client.ended;
      expect(client.stdout).toContain('{"message":"abc"}');
    }
  }, 30_000);

  it("may end its side once it has asked, and sees the head of an answer before its body", async () => {
    const one = await manager("swarm-1");
    one.docker.on("POST", /wait/, () => ({ head: true }));
    const { env } = await serve([one.connection], { idleSeconds: 5 });
    const client = dial(env, "POST /v1.41/containers/x/wait HTTP/1.1\r\nHost: docker\r\n\r\n");
    client.ssh.stdin.end();
    await expect.poll(() => client.stdout, soon).toMatch(/^HTTP\/1\.1 200 OK/);
    client.ssh.kill("SIGKILL");
    await expect.poll(() => one.docker.open, soon).toBe(0);
  }, 30_000);
});
