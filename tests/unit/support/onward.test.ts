import * as http from "node:http";
import * as net from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectTo, proxyFor, requestTo, unspokenProxy } from "../../support/onward";

describe("the proxy for a host", () => {
  test.each([
    [{}, undefined],
    [{ https_proxy: "http://proxy:3128" }, "http://proxy:3128/"],
    [{ HTTPS_PROXY: "proxy:3128" }, "http://proxy:3128/"],
    [{ http_proxy: "http://other:1" }, undefined],
    [{ all_proxy: "http://proxy:1", https_proxy: "" }, "http://proxy:1/"],
    [{ https_proxy: "http://proxy:1", no_proxy: "example.com" }, undefined],
    [{ https_proxy: "http://proxy:1", NO_PROXY: "localhost, .example.com:443" }, undefined],
    [{ https_proxy: "http://proxy:1", no_proxy: "*" }, undefined],
    [{ https_proxy: "http://proxy:1", no_proxy: "ample.com,10.0.0.0/8" }, "http://proxy:1/"],
  ])("is, of %j, %s", (env, wanted) => {
    expect(proxyFor("https", "deb.example.com", env)?.href).toBe(wanted);
  });

  test("is one that can be spoken to here, or named", () => {
    expect(unspokenProxy({ http_proxy: "http://p:1", https_proxy: "p:2" })).toBeUndefined();
    expect(unspokenProxy({ http_proxy: "http://p:1", https_proxy: "socks5://p:2" })).toBe("socks5");
  });
});

describe("the way onward", () => {
  const servers: http.Server[] = [];
  const portOf = (server: http.Server): number => (server.address() as net.AddressInfo).port;
  const listening = async (server: http.Server): Promise<http.Server> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return server;
  };
  /** What the proxy was asked for, with what it was told of the one who asks. */
  let asked: string[];
  let origin: http.Server;
  let proxy: http.Server;

  beforeEach(async () => {
    asked = [];
    origin = await listening(
      http.createServer((request, answer) => answer.end(`origin: ${request.method} ${request.url}`)),
    );
    const note = ({ method, url, headers }: http.IncomingMessage): void =>
      void asked.push(`${method} ${url} ${headers["proxy-authorization"] ?? "nobody"}`);
    proxy = await listening(
      http.createServer((request, answer) => {
        note(request);
        answer.end(`proxy: ${request.method} ${request.url}`);
      }),
    );
    proxy.on("connect", (request: http.IncomingMessage, client: net.Socket) => {
      note(request);
      if (request.url?.startsWith("refused.example.com")) return client.end("HTTP/1.1 403 no\r\n\r\n");
      const onward = net.connect(portOf(origin), "127.0.0.1", () => {
        client.write("HTTP/1.1 200 connected\r\n\r\n");
        onward.pipe(client).pipe(onward);
      });
    });
  });
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const answerOn = (socket: net.Socket): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = "";
      socket.on("data", (some: Buffer) => (text += some.toString())).on("end", () => resolve(text));
      socket.on("error", reject);
      socket.write("GET /here HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    });
  const answerTo = (request: http.ClientRequest): Promise<string> =>
    new Promise((resolve, reject) => {
      request.on("error", reject).on("response", (message) => {
        let text = "";
        message.on("data", (some: Buffer) => (text += some.toString())).on("end", () => resolve(text));
      });
      request.end();
    });

  test("is straight where there is no proxy", async () => {
    expect(await answerOn(await connectTo("127.0.0.1", portOf(origin), {}))).toContain("origin: GET /here");
    const url = new URL(`http://127.0.0.1:${portOf(origin)}/there`);
    expect(await answerTo(requestTo(url, { method: "GET", headers: {} }, {}))).toBe("origin: GET /there");
    expect(asked).toEqual([]);
  });

  test("is by the proxy where there is one, and tells it who asks", async () => {
    const named = `http://me:s%40cret@127.0.0.1:${portOf(proxy)}`;
    const env = { https_proxy: named, http_proxy: named };
    expect(await answerOn(await connectTo("deb.example.com", 443, env))).toContain("origin: GET /here");
    const url = new URL("http://deb.example.com/there");
    const options = { method: "GET", headers: { host: "deb.example.com" } };
    expect(await answerTo(requestTo(url, options, env))).toBe("proxy: GET http://deb.example.com/there");
    const who = `Basic ${Buffer.from("me:s@cret").toString("base64")}`;
    expect(asked).toEqual([`CONNECT deb.example.com:443 ${who}`, `GET http://deb.example.com/there ${who}`]);
  });

  test("ends where the proxy leads nowhere", async () => {
    const env = { https_proxy: `http://127.0.0.1:${portOf(proxy)}` };
    await expect(connectTo("refused.example.com", 443, env)).rejects.toThrow(
      "the proxy answers 403 for refused.example.com:443",
    );
  });
});
