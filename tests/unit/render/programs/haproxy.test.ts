import { balancerStoragePath } from "@moorage/render";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Balancer } from "./balancer";
import { NameServer } from "./dns";
import { Upstream } from "./upstream";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const near = new Upstream("near", "127.0.2.1", 25901);
const far = new Upstream("far", "127.0.2.2", 25901);
/** For how long the member beside is left alone once it is seen, in seconds; counted in whole ones. */
const settle = 3;
let names: NameServer;
let balancer: Balancer;

/** Seconds until requests come from where they should. */
async function secondsUntil(from: string): Promise<number> {
  const since = Date.now();
  while (Date.now() - since < 10_000) {
    const answer = await balancer.ask("/registry/x").catch(() => undefined);
    if (answer?.from === from) return (Date.now() - since) / 1000;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing comes from ${from}`);
}

/** The member beside is used again: not at once, and within 3 s once it has settled. */
async function expectSettled(): Promise<void> {
  const seconds = await secondsUntil("near");
  expect(seconds).toBeGreaterThan(settle - 1);
  expect(seconds).toBeLessThan(settle + 3);
}

beforeAll(async () => {
  names = await NameServer.start();
  const backends = ["near", "far"].map((name) => ({ name: `minio-${name}`, port: 25901 }));
  balancer = new Balancer(25900, {
    backends,
    preferred: "minio-near",
    settleSeconds: settle,
    resolver: names.address,
  });
  // No name resolves yet.
  await balancer.start();
});
afterAll(async () => {
  await balancer.remove();
  await Promise.all([near.stop(), far.stop()]);
  names.stop();
});

describe("the S3 balancer", () => {
  it("runs with nothing to balance, and says so", async () => {
    expect((await balancer.ask(balancerStoragePath)).status).toBe(503);
    expect((await balancer.ask("/registry/x")).status).toBe(503);
  });

  it("finds a member within 3 s of its name", async () => {
    await far.start();
    names.names.set("minio-far", "127.0.2.2");
    expect(await secondsUntil("far")).toBeLessThan(3);
    expect((await balancer.ask(balancerStoragePath)).status).toBe(200);
  });

  it("prefers the member beside it, once that has settled", async () => {
    await near.start();
    names.names.set("minio-near", "127.0.2.1");
    await expectSettled();
    for (let i = 0; i < 10; i++) expect((await balancer.ask("/registry/x")).from).toBe("near");
  });

  describe("where the member beside it has missed something, and reaches the others too little to know it,", () => {
    const good = near.reply;
    const says = (status: number): void => {
      near.reply = (request, response) => {
        if (request.url.startsWith("/minio/health/")) return void good(request, response);
        response.writeHead(status, { "X-Upstream": "near" });
        response.end();
      };
    };
    afterEach(() => void (near.reply = good));
    const asked = ({ seen }: Upstream): string[] =>
      seen.filter(({ url }) => url.startsWith("/registry/")).map(({ method }) => method);

    it.each([404, 503])("asks another one for what it answers with %i", async (status) => {
      says(status);
      for (let i = 0; i < 5; i++) {
        expect(await balancer.ask("/registry/x")).toMatchObject({ status: 200, from: "far" });
        expect(await balancer.ask("/registry/x", {}, "HEAD")).toMatchObject({ status: 200, from: "far" });
      }
    });

    it("asks two of them for what is nowhere, and one for what cannot be asked for twice", async () => {
      says(404);
      const goodFar = far.reply;
      far.reply = near.reply;
      try {
        near.seen.length = far.seen.length = 0;
        expect((await balancer.ask("/registry/x")).status).toBe(404);
        expect((await balancer.ask("/registry/x?uploadId=1", {}, "POST", Buffer.from("<a/>"))).status).toBe(
          404,
        );
        expect((await balancer.ask("/registry/x", {}, "PUT", Buffer.alloc(3_000_000, 7))).status).toBe(404);
        expect(asked(near)).toEqual(["GET", "POST", "PUT"]);
        expect(asked(far)).toEqual(["GET"]);
      } finally {
        far.reply = goodFar;
      }
    });
  });

  it("passes host, path and body as they came", async () => {
    near.seen.length = 0;
    const body = Buffer.alloc(3_000_000, 7);
    const headers = { Host: "s3-coreos1:9000", Authorization: "AWS4-HMAC-SHA256 Credential=x" };
    await balancer.ask("/registry/a%2Fb//c?uploadId=1&partNumber=2", headers, "PUT", body);
    const put = near.seen.find(({ method }) => method === "PUT");
    expect(put?.url).toBe("/registry/a%2Fb//c?uploadId=1&partNumber=2");
    expect(put?.headers.host).toBe("s3-coreos1:9000");
    expect(put?.headers.authorization).toBe(headers.Authorization);
    expect(put?.body).toHaveLength(body.length);
  });

  it("leaves a member that dies at once, without failing a request", async () => {
    await near.stop();
    for (const since = Date.now(); Date.now() - since < 1500;) {
      // What is just being connected when the member is taken for gone is closed; the registry's client asks again, too.
      const answer = await balancer.ask("/registry/x").catch(() => balancer.ask("/registry/x"));
      expect(answer.status).toBe(200);
    }
    expect(await secondsUntil("far")).toBeLessThan(1);
  });

  it("comes back to a member that is started again, once that has settled", async () => {
    await near.start();
    await expectSettled();
  });

  it("lets a member settle whose name was gone meanwhile", async () => {
    names.names.delete("minio-near");
    expect(await secondsUntil("far")).toBeLessThan(5);
    names.names.set("minio-near", "127.0.2.1");
    await expectSettled();
  });

  it("asks a member that has not settled where no other one works", async () => {
    await near.stop();
    expect(await secondsUntil("far")).toBeLessThan(1);
    await near.start();
    await far.stop();
    try {
      expect(await secondsUntil("near")).toBeLessThan(settle - 1);
    } finally {
      await far.start();
    }
  });

  it("leaves a member that hangs", async () => {
    const good = near.reply;
    near.reply = () => undefined;
    expect(await secondsUntilFar()).toBeLessThan(4);
    near.reply = good;
    await expectSettled();
  });

  it("leaves a member that has not found its cluster", async () => {
    const good = near.reply;
    near.reply = (_, response) => {
      response.writeHead(200, { "X-Minio-Server-Status": "offline", "X-Upstream": "near" });
      response.end();
    };
    expect(await secondsUntil("far")).toBeLessThan(4);
    near.reply = good;
    await expectSettled();
  });

  it("tries members all the same when no check is passed in time", async () => {
    const [good, goodFar] = [near.reply, far.reply];
    near.reply = far.reply = ({ url }, response) => {
      if (url.startsWith("/minio/health/")) return;
      response.writeHead(200, { "X-Upstream": "near" });
      response.end();
    };
    await expect
      .poll(async () => (await balancer.ask(balancerStoragePath)).status, { timeout: 10_000 })
      .toBe(503);
    for (let i = 0; i < 10; i++) expect((await balancer.ask("/registry/x")).status).toBe(200);
    near.reply = good;
    far.reply = goodFar;
    expect(await secondsUntil("near")).toBeLessThan(settle + 3);
  });

  it("keeps the addresses it knows while the name server is silent", async () => {
    names.silent = true;
    await new Promise((resolve) => setTimeout(resolve, 5000));
    expect((await balancer.ask("/registry/x")).from).toBe("near");
    names.silent = false;
  });

  it("follows a member to its new address", async () => {
    const moved = await new Upstream("moved", "127.0.2.3", 25901).start();
    names.names.set("minio-near", "127.0.2.3");
    try {
      expect(await secondsUntil("moved")).toBeLessThan(3);
    } finally {
      await moved.stop();
    }
  });
});

/** A request that hangs would wait for its answer: each is given up after a moment. */
async function secondsUntilFar(): Promise<number> {
  const since = Date.now();
  while (Date.now() - since < 10_000) {
    const answer = await Promise.race([
      balancer.ask("/registry/x").catch(() => undefined),
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 200)),
    ]);
    if (answer?.from === "far") return (Date.now() - since) / 1000;
  }
  throw new Error("nothing comes from far");
}
