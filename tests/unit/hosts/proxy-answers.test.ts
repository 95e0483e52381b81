import { describe, expect, it, vi } from "vitest";
import { ManagerChoice } from "../../../hosts/src/proxy/choose";
import { until } from "../../support/waiting";
import { ProxyClient, answerTo, manager, serve } from "./support/proxy";
import { NETWORK, SECRET } from "./support/recorded";
import { afterwards, startServer } from "./support/stop";
import { VirtualClock } from "./support/virtual-clock";

interface Answered {
  readonly status: number;
  readonly json: { readonly message?: string; readonly Name?: string };
}

/** Asks as Docker's client does. */
async function ask(socket: string, path: string, method = "GET"): Promise<Answered> {
  const answer = await answerTo(
    socket,
    `${method} ${path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n`,
  );
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  const [text = ""] = /\{.*\}/s.exec(body) ?? [];
  return {
    status: Number(head.split(" ")[1]),
    json: (text === "" ? {} : JSON.parse(text)) as Answered["json"],
  };
}

/** How often a path was asked for. */
const asked = (one: Awaited<ReturnType<typeof manager>>, path: RegExp, method = "GET") =>
  one.docker.calls(method, path).length;

/** Its pauses take no time. */
const hurried = { clock: new VirtualClock() };

describe("the manager that the proxy asks", () => {
  it("is the first that works: not one that is frozen, off or no manager", async () => {
    const mute = await startServer({ node: "swarm-1", mute: true });
    const frozen = await manager("swarm-2");
    frozen.docker.frozen = true;
    const off = { ...frozen.connection, node: "swarm-3", port: 1 };
    const worker = await manager("swarm-4");
    worker.docker.on("GET", /^\/info$/, () => ({
      json: { Swarm: { LocalNodeState: "active", ControlAvailable: false } },
    }));
    const five = await manager("swarm-5");
    const managers = [mute.connection(), frozen.connection, off, worker.connection, five.connection];
    const { socket } = await serve(managers);
    expect((await ask(socket, "/info")).json.Name).toBe("swarm-5");
  });

  it("may take part in an election first", async () => {
    const one = await manager("swarm-1");
    one.docker.on("GET", /^\/nodes$/, () =>
      asked(one, /^\/nodes$/) < 4 ? { status: 500, json: {} } : { json: [] },
    );
    const { socket } = await serve([one.connection], hurried);
    expect((await ask(socket, "/v1.41/info")).status).toBe(404);
    expect(asked(one, /^\/nodes$/)).toBe(4);
  });

  it("is another one if it is no manager any more", async () => {
    const [one, two] = [await manager("swarm-1"), await manager("swarm-2")];
    one.docker.on("GET", /secrets/, () => {
      one.docker.on("GET", /^\/info$/, () => ({ json: { Swarm: { LocalNodeState: "active" } } }));
      return { status: 503, json: { message: "This node is not a swarm manager." } };
    });
    two.docker.on("GET", /secrets/, () => ({ json: { ID: "secret-1" } }));
    const { socket } = await serve([one.connection, two.connection], hurried);
    expect((await ask(socket, "/v1.41/secrets/secret-1")).status).toBe(200);
  });

  it("is none if none works, which the answer explains in one line", async () => {
    const one = await manager("swarm-1");
    one.docker.on("GET", /^\/info$/, () => ({
      json: { Swarm: { LocalNodeState: "inactive", ControlAvailable: false } },
    }));
    const off = { ...one.connection, node: "swarm-2", port: 1 };
    const { socket } = await serve([one.connection, off], hurried);
    const { status, json } = await ask(socket, "/info");
    expect(status).toBe(503);
    expect(json.message).toMatch(
      /no Swarm manager in reach: .*swarm-1: is no Swarm manager now \(inactive\)/,
    );
    expect(json.message).toMatch(
      /swarm-2: no SSH connection to core@127\.0\.0\.1:1 after 1 attempt: .*ECONNREFUSED/,
    );
    expect(json.message).not.toContain("\n");
  });
});

describe("an answer of the proxy", () => {
  it("to what only reads comes from another attempt if one fails", async () => {
    const one = await manager("swarm-1");
    one.docker.on("GET", /secrets/, () =>
      asked(one, /secrets/) < 3
        ? { status: 500, json: { message: "rpc error: there is no leader" } }
        : { json: { ID: "secret-1" } },
    );
    const { socket } = await serve([one.connection], hurried);
    expect(await ask(socket, "/v1.41/secrets/secret-1")).toEqual({ status: 200, json: { ID: "secret-1" } });
    expect(asked(one, /secrets/)).toBe(3);
  });

  it("to what changes something is Docker's own, asked once", async () => {
    const one = await manager("swarm-1");
    one.docker.on("POST", /secrets/, () => ({ status: 500, json: { message: "no leader" } }));
    const { socket } = await serve([one.connection], { state: [SECRET], ...hurried });
    expect(await ask(socket, "/v1.41/secrets/create", "POST")).toEqual({
      status: 500,
      json: { message: "no leader" },
    });
    expect(asked(one, /secrets/, "POST")).toBe(1);
  });

  it("says that there is no secret if a manager says so, and asks again for a network", async () => {
    const one = await manager("swarm-1");
    one.docker.on("GET", /networks/, () =>
      asked(one, /networks/) === 1 ? { status: 404, json: {} } : { json: { Id: "network-1" } },
    );
    const { socket } = await serve([one.connection], { state: [SECRET, NETWORK], ...hurried });
    expect((await ask(socket, "/v1.41/secrets/secret-1")).status).toBe(404);
    expect(asked(one, /secrets/)).toBe(1);
    expect(await ask(socket, "/v1.41/networks/network-1")).toEqual({
      status: 200,
      json: { Id: "network-1" },
    });
    one.docker.on("GET", /networks/, () => ({ status: 404, json: { message: "no such network" } }));
    expect((await ask(socket, "/v1.41/networks/network-1")).status).toBe(404);
  });

  it("is as recorded if no manager can be asked, so that nothing counts as gone", async () => {
    const one = await manager("swarm-1");
    const state = [SECRET, NETWORK];
    const { socket } = await serve([{ ...one.connection, port: 1 }], { state, ...hurried });
    const Labels = { "moorage.stack": "moorage/dev" };
    expect((await ask(socket, "/v1.41/secrets/secret-1")).json).toEqual({
      ID: "secret-1",
      Spec: { Name: "nginx-key-1", Labels },
    });
    expect((await ask(socket, "/v1.41/networks/network-1")).json).toEqual({
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
      const { status, json } = await ask(socket, path);
      expect(status, path).toBe(503);
      expect(json.message, path).toMatch(/^no Swarm manager in reach: swarm-1: /);
    }
    const { status, json } = await ask(socket, "/v1.41/secrets/secret-1", "DELETE");
    expect(status).toBe(503);
    expect(json.message).toMatch(/no Swarm manager in reach/);
  });

  it("that goes on for long is passed on as it comes", async () => {
    const one = await manager("swarm-1");
    let more: (text: string) => void = () => undefined;
    one.docker.on("GET", /logs/, () => ({ hang: "first", onward: (write) => (more = write) }));
    const { socket } = await serve([one.connection]);
    const client = await ProxyClient.to(
      socket,
      "GET /v1.41/services/x/logs HTTP/1.1\r\nHost: docker\r\n\r\n",
    );
    await client.gets("first");
    more("second");
    await client.gets("second");
    more("");
    await client.gets("\r\n0\r\n\r\n");
  });
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

describe("a client of the proxy", () => {
  it("that leaves in the middle of a large answer leaves no stream in use", async () => {
    const inUse = streamsInUse();
    const one = await manager("swarm-1");
    one.docker.on("GET", /archive/, () => ({ text: "x".repeat(40_000_000) }));
    const { socket } = await serve([one.connection]);
    const client = await ProxyClient.to(
      socket,
      "GET /v1.41/containers/x/archive HTTP/1.1\r\nHost: docker\r\n\r\n",
    );
    client.channel.once("data", () => client.channel.pause());
    await client.gets("HTTP/1.1 200");
    expect(inUse()).toBe(1);
    client.leave();
    await until("its stream closed", () => expect([inUse(), one.docker.open]).toEqual([0, 0]));
  });

  it("may name trailers, and chunk what it sends", async () => {
    const one = await manager("swarm-1");
    for (const method of ["POST", "DELETE"])
      one.docker.on(method, /\/x$/, ({ body }) => ({ json: { message: body } }));
    const { socket } = await serve([one.connection]);
    const headers = "Host: docker\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\nConnection: close";
    for (const method of ["POST", "DELETE"]) {
      const request = `${method} /x HTTP/1.1\r\n${headers}\r\n\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n`;
      expect(await answerTo(socket, request)).toContain('{"message":"abc"}');
    }
  });

  it("may end its side once it has asked, and sees the head of an answer before its body", async () => {
    const one = await manager("swarm-1");
    one.docker.on("POST", /wait/, () => ({ head: true }));
    const { socket } = await serve([one.connection]);
    const client = await ProxyClient.to(
      socket,
      "POST /v1.41/containers/x/wait HTTP/1.1\r\nHost: docker\r\n\r\n",
    );
    client.channel.end();
    await client.gets("HTTP/1.1 200 OK");
    client.leave();
    await until("its stream closed", () => expect(one.docker.open).toBe(0));
  });
});
