import { beforeAll, describe, expect, test } from "vitest";
import { stackFile } from "../../lab/journey/stack";
import type { RegistryAccess } from "../../lab/journey/push";
import { ask, TestLab } from "../support/testLab";
import * as fs from "node:fs";

const digest = `sha256:${"0".repeat(64)}`;

let lab: TestLab;
let access: RegistryAccess;
let passwords: Record<string, string>;

beforeAll(async () => {
  lab = await TestLab.standing();
  access = await lab.access();
  const state = JSON.parse(await lab.state(true)) as {
    deployment: { resources: { urn: string; outputs?: { result?: unknown } }[] };
  };
  passwords = Object.fromEntries(
    state.deployment.resources
      .filter(({ urn }) => urn.includes("::registry-user-"))
      .map(({ urn, outputs }) => [urn.split("registry-user-")[1] ?? "", plain(outputs?.result)]),
  );
  expect(fs.readFileSync(stackFile(lab.instance), "utf8")).toContain("reader");
});

function plain(secret: unknown): string {
  const { plaintext } = secret as { plaintext: string };
  return JSON.parse(plaintext) as string;
}

/** 401: not known; 403: not allowed; 404: allowed, and there is no such thing. */
const cases: [user: string, method: string, path: string, statuses: number[]][] = [
  ["nobody", "GET", "/v2/", [401]],
  ["reader", "GET", "/v2/", [200]],
  // A repository that an upload was begun in has an empty list.
  ["reader", "GET", "/v2/public/app/tags/list", [200, 404]],
  ["reader", "HEAD", `/v2/public/app/manifests/${digest}`, [404]],
  ["reader", "GET", `/v2/public/app/blobs/${digest}`, [404]],
  ["reader", "POST", "/v2/public/app/blobs/uploads/", [403]],
  ["reader", "PUT", "/v2/public/app/manifests/latest", [403]],
  ["reader", "DELETE", `/v2/public/app/manifests/${digest}`, [403]],
  ["reader", "GET", "/v2/demo/hello/tags/list", [403]],
  ["reader", "GET", "/v2/demo/hello/manifests/1", [403]],
  ["reader", "HEAD", "/v2/demo/hello/manifests/1", [403]],
  ["reader", "DELETE", `/v2/demo/hello/manifests/${digest}`, [403]],
  // She may write there: what is refused is reading where it comes from.
  ["reader", "POST", "/v2/reader/app/blobs/uploads/", [202]],
  ["reader", "POST", `/v2/reader/app/blobs/uploads/?mount=${digest}&from=public/app`, [201, 202]],
  ["reader", "POST", `/v2/reader/app/blobs/uploads/?mount=${digest}&from=demo/hello`, [403]],
  ["reader", "GET", "/v2/_catalog", [403]],
  ["reader", "GET", "/v2/public/../demo/hello/tags/list", [400, 403, 404]],
  ["reader", "GET", "/v2/public%2f..%2fdemo/hello/tags/list", [400, 403, 404]],
  ["reader", "GET", "/v2//public/app/tags/list", [400, 403, 404]],
  ["admin", "GET", "/v2/demo/hello/tags/list", [200]],
  ["admin", "GET", "/v2/_catalog", [200]],
  ["admin", "POST", "/v2/public/app/blobs/uploads/", [202]],
  ["admin", "DELETE", `/v2/demo/hello/manifests/${digest}`, [404]],
  ["admin", "POST", `/v2/public/app/blobs/uploads/?mount=${digest}&from=demo/hello`, [201, 202]],
];

describe("what a user may do", () => {
  test.each(cases)("%s %s %s", async (user, method, path, statuses) => {
    const credentials = user === "nobody" ? {} : { user, password: passwords[user] };
    const answer = await ask(lab, access, path, { method, ...credentials });
    expect(statuses).toContain(answer.status);
    if (answer.status >= 400 && method !== "HEAD") {
      expect(JSON.parse(answer.body)).toHaveProperty("errors");
    }
  });

  test("a wrong password is refused", async () => {
    expect((await ask(lab, access, "/v2/", { user: "admin", password: "wrong" })).status).toBe(401);
  });
});
