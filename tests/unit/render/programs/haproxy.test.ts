import type { ServerResponse } from "node:http";
import { balancerQuorumPaths, balancerStoragePath, type Quorum } from "@moorage/render";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stays, timed, until } from "../../../support/waiting";
import { Balancer, type Balanced } from "./balancer";
import { NameServer } from "./dns";
import { Upstream } from "./upstream";

/** It checks and resolves more often than in production, and gives a member on a busy machine more time to answer. */
const quick = {
  "inter 1s fastinter 300ms downinter 1s": "inter 200ms fastinter 100ms downinter 200ms",
  "inter 2s fastinter 500ms downinter 1s": "inter 200ms fastinter 100ms downinter 200ms",
  "inter 6s fastinter 2s downinter 1s": "inter 200ms fastinter 100ms downinter 200ms",
  "timeout resolve 1s": "timeout resolve 200ms",
  "timeout retry 1s": "timeout retry 200ms",
  "hold valid 1s": "hold valid 200ms",
  "hold nx 1s": "hold nx 200ms",
  "hold obsolete 1s": "hold obsolete 200ms",
  "timeout check 1s": "timeout check 30s",
};
const near = new Upstream("near", "127.0.2.1");
const far = new Upstream("far", "127.0.2.2");
const members = [near, far];
let names: NameServer;
/** With a member beside it that settles within a second. */
let balancer: Balancer;
/** With one that never does. */
let waiting: Balancer;

beforeAll(async () => {
  names = await NameServer.start();
  for (const member of members) await (await member.start()).stop();
  const backends = members.map(({ name, port }) => ({ name: `minio-${name}`, port }));
  const args = { backends, preferred: "minio-near", resolver: names.address };
  balancer = new Balancer({ ...args, settleSeconds: 1 }, quick);
  waiting = new Balancer({ ...args, settleSeconds: 86_400 }, quick);
  // No name resolves yet.
  await Promise.all([balancer.start(), waiting.start()]);
});
afterAll(async () => {
  await Promise.all([balancer.remove(), waiting.remove()]);
  await Promise.all(members.map((member) => member.stop()));
  names.stop();
});

const setName = ({ name, host }: Upstream): unknown => names.names.set(`minio-${name}`, host);
const expectFrom = async (name: string, by = balancer): Promise<void> =>
  expect(await by.ask("/registry/x")).toMatchObject({ status: 200, from: name });
const answeredBy = (name: string): Promise<void> => until(`${name} answers`, () => expectFrom(name));
const isHealthCheck = (url: string): boolean => url.startsWith("/minio/health/");

/** While `work` runs, the member answers health checks as before, and everything else with that status. */
function failing<T>(member: Upstream, status: number, work: () => Promise<T>): Promise<T> {
  const good = member.reply;
  return member.answering((request, response) => {
    if (isHealthCheck(request.url)) return good(request, response);
    response.writeHead(status, { "X-Upstream": member.name });
    response.end();
  }, work);
}

describe("the S3 balancer", () => {
  it("runs with no member, and reports that", async () => {
    expect((await balancer.ask(balancerStoragePath)).status).toBe(503);
    expect((await balancer.ask("/registry/x")).status).toBe(503);
    for (const path of Object.values(balancerQuorumPaths))
      expect((await balancer.ask(path)).status).toBe(504);
  });

  it("finds a member once it has a name", async () => {
    await far.start();
    setName(far);
    await timed("HAProxy finds a member by its name", () => answeredBy("far"));
    await until("another balancer does, too", () => expectFrom("far", waiting));
    expect((await balancer.ask(balancerStoragePath)).status).toBe(200);
  });

  it("prefers the member beside it once that has settled", async () => {
    await near.start();
    setName(near);
    await answeredBy("near");
    for (let i = 0; i < 10; i++) await expectFrom("near");
  });

  it("uses another member until the one beside it has settled, or no other one works", async () => {
    const checked = async (): Promise<void> => {
      const before = near.seen.length;
      await until("it is checked", () => expect(near.seen.length).toBeGreaterThan(before + 3));
    };
    await stays("another one is used", () => expectFrom("far", waiting), { rounds: 3, event: checked });
    await far.stop();
    await until("it is used all the same", () => expectFrom("near", waiting));
    await far.start();
    await until("the other one is used again", () => expectFrom("far", waiting));
  });

  describe("where the member beside it has missed an object, and reaches too few others to know", () => {
    const asked = ({ seen }: Upstream): string[] =>
      seen.filter(({ url }) => !isHealthCheck(url)).map(({ method }) => method);

    it.each([404, 503])("asks another member after status %i", async (status) => {
      await failing(near, status, async () => {
        for (let i = 0; i < 5; i++) {
          await expectFrom("far");
          expect(await balancer.ask("/registry/x", {}, "HEAD")).toMatchObject({ status: 200, from: "far" });
        }
      });
    });

    it("asks two of them for what is nowhere, and one for what cannot be repeated", async () => {
      near.seen.length = far.seen.length = 0;
      const askAll = async (): Promise<number[]> => {
        const answers: Balanced[] = [await balancer.ask("/registry/x")];
        answers.push(await balancer.ask("/registry/x?uploadId=1", {}, "POST", Buffer.from("<a/>")));
        answers.push(await balancer.ask("/registry/x", {}, "PUT", Buffer.alloc(3_000_000, 7)));
        return answers.map(({ status }) => status);
      };
      expect(await failing(near, 404, () => failing(far, 404, askAll))).toEqual([404, 404, 404]);
      expect(asked(near)).toEqual(["GET", "POST", "PUT"]);
      expect(asked(far)).toEqual(["GET"]);
    });
  });

  it("passes host, path and body unchanged", async () => {
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

  it("leaves a member that dies without failing a request, and returns to it", async () => {
    await near.stop();
    const statuses: number[] = [];
    await timed("HAProxy leaves a dead member", () =>
      until("another member answers", async () => {
        // A connection that stood when the member died is closed; the registry's client asks again, too.
        const answer = await balancer.ask("/registry/x").catch(() => balancer.ask("/registry/x"));
        statuses.push(answer.status);
        expect(answer.from).toBe("far");
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    await near.start();
    await answeredBy("near");
  });

  it("leaves a member whose name is gone, and returns to it", async () => {
    names.names.delete("minio-near");
    await answeredBy("far");
    setName(near);
    await answeredBy("near");
  });

  it("leaves a member that has not found its cluster", async () => {
    const offline = (_: unknown, response: ServerResponse): void => {
      response.writeHead(200, { "X-Minio-Server-Status": "offline", "X-Upstream": "near" });
      response.end();
    };
    await near.answering(offline, () => answeredBy("far"));
    await answeredBy("near");
  });

  it("leaves a member that hangs", async () => {
    const [hanging, working] = [new Upstream("hanging", "127.0.2.4"), new Upstream("working", "127.0.2.5")];
    hanging.reply = () => undefined;
    await Promise.all([hanging.start(), working.start()]);
    for (const one of [hanging, working]) setName(one);
    const backends = [hanging, working].map(({ name, port }) => ({ name: `minio-${name}`, port }));
    const args = { backends, preferred: "minio-hanging", resolver: names.address };
    const strict = new Balancer(args, { ...quick, "timeout check 1s": "timeout check 500ms" });
    try {
      await strict.start();
      await until("the other one answers", async () => {
        const answer = strict.ask("/registry/x", {}, "GET", undefined, 2000);
        expect((await answer).from).toBe("working");
      });
    } finally {
      await strict.remove();
      await Promise.all([hanging.stop(), working.stop()]);
    }
  });

  it("tries members all the same when none passes a check", async () => {
    const sick: Upstream["reply"] = ({ url }, response) => {
      response.writeHead(isHealthCheck(url) ? 500 : 200, { "X-Upstream": "sick" });
      response.end();
    };
    await near.answering(sick, () =>
      far.answering(sick, async () => {
        await until("it is reported", async () =>
          expect((await balancer.ask(balancerStoragePath)).status).toBe(503),
        );
        for (let i = 0; i < 10; i++) await expectFrom("sick");
      }),
    );
    await answeredBy("near");
  });

  describe.each(Object.entries(balancerQuorumPaths) as [Quorum, string][])(
    "the store's quorum to %s",
    (quorum, path) => {
      const says =
        (status: number): Upstream["reply"] =>
        ({ url }, response) => {
          const isAsked =
            url === (quorum === "write" ? "/minio/health/cluster" : "/minio/health/cluster/read");
          response.writeHead(isAsked ? status : 200, { "X-Upstream": "asked" }).end();
        };
      const reports = (status: number): Promise<void> =>
        until(`it reports ${status}`, async () => expect((await balancer.ask(path)).status).toBe(status));

      it("is there where one member says so, and not where all say no", async () => {
        await reports(200);
        await near.answering(says(503), async () => {
          await far.answering(says(503), async () => {
            await reports(503);
            // What can still be served is.
            expect((await balancer.ask(balancerStoragePath)).status).toBe(200);
          });
          await reports(200);
        });
      });
    },
  );

  it("keeps the addresses it knows while the name server is silent", async () => {
    await answeredBy("near");
    names.silent = true;
    try {
      const event = () => names.nextQuery();
      await stays("the member is found", () => expectFrom("near"), { rounds: 6, event });
    } finally {
      names.silent = false;
    }
  });

  it("follows a member to its new address", async () => {
    const moved = await new Upstream("moved", "127.0.2.3", near.port).start();
    names.names.set("minio-near", moved.host);
    try {
      await answeredBy("moved");
    } finally {
      await moved.stop();
    }
  });
});
