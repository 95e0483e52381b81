import * as vm from "node:vm";
import { renderRights, rightsEngine, rightsScript } from "@moorage/render";
import type { RegistryUserModel } from "@moorage/render";
import { describe, expect, it } from "vitest";

const { decide, parsePath, repositoryOf, routeOf } = rightsEngine;
const digest = `sha256:${"0".repeat(64)}`;
const users: RegistryUserModel[] = [
  { name: "admin", rights: [{ prefix: "", access: "write" }] },
  { name: "reader", rights: [{ prefix: "", access: "read" }] },
  {
    name: "team",
    rights: [
      { prefix: "team/", access: "write" },
      { prefix: "base", access: "read" },
    ],
  },
  { name: "nobody", rights: [] },
];

describe("rights", () => {
  it.each([
    // user, method, target, verdict
    ["admin", "GET", "/v2/", "allowed"],
    ["nobody", "GET", "/v2/", "allowed"],
    ["stranger", "GET", "/v2/", "denied"],
    ["", "GET", "/v2/", "denied"],
    ["__proto__", "GET", "/v2/", "denied"],
    ["admin", "GET", "/v2/_catalog?n=1", "allowed"],
    ["reader", "GET", "/v2/_catalog", "allowed"],
    ["team", "GET", "/v2/_catalog", "denied"],
    ["reader", "GET", "/v2/any/where/manifests/latest", "allowed"],
    ["reader", "PUT", "/v2/any/where/manifests/latest", "denied"],
    ["reader", "DELETE", `/v2/any/manifests/${digest}`, "denied"],
    ["team", "HEAD", `/v2/team/a/blobs/${digest}`, "allowed"],
    ["team", "DELETE", `/v2/team/a/blobs/${digest}`, "allowed"],
    ["team", "GET", "/v2/base/manifests/latest", "allowed"],
    ["team", "PUT", "/v2/base/manifests/latest", "denied"],
    ["team", "GET", "/v2/base2/manifests/latest", "denied"],
    ["team", "GET", "/v2/base/image/manifests/latest", "denied"],
    ["team", "GET", "/v2/team/manifests/latest", "denied"],
    ["team", "GET", "/v2/teamwork/a/manifests/latest", "denied"],
    ["team", "GET", "/v2/base/blobs/uploads/0a", "denied"],
    ["team", "OPTIONS", "/v2/base/manifests/latest", "denied"],
    ["team", "POST", "/v2/team/a/blobs/uploads/", "allowed"],
    ["team", "POST", `/v2/team/a/blobs/uploads/?mount=${digest}&from=base`, "allowed"],
    ["team", "POST", `/v2/team/a/blobs/uploads/?mount=${digest}&from=team%2Fb`, "allowed"],
    ["team", "POST", `/v2/team/a/blobs/uploads/?mount=${digest}&from=secret`, "denied"],
    ["team", "POST", `/v2/team/a/blobs/uploads/?mount=${digest}&from=team%2F..%2Fsecret`, "denied"],
    ["team", "POST", `/v2/team/a/blobs/uploads/?from=base&mount=${digest}&from=secret`, "denied"],
    ["team", "POST", `/v2/team/a/blobs/uploads/?mount=${digest}&fr%6fm=secret`, "denied"],
    ["team", "POST", `/v2/team/a/blobs/uploads/?mount=${digest};from=secret`, "denied"],
    ["team", "POST", "/v2/team/a/blobs/uploads/?from=", "denied"],
    ["team", "POST", "/v2/team/a/blobs/uploads/?x=%zz", "denied"],
    ["admin", "GET", "/v2", "unknown"],
    ["admin", "GET", "/v2/a//b/manifests/latest", "unknown"],
    ["admin", "GET", "/v2/a/../b/manifests/latest", "unknown"],
    ["admin", "GET", "/v2/a%2Fb/manifests/latest", "unknown"],
    ["admin", "GET", "/v2/A/manifests/latest", "unknown"],
    ["admin", "GET", "/v2/a/manifests/..", "unknown"],
    ["admin", "GET", "/v2/a/blobs/uploads/..", "unknown"],
    ["admin", "GET", "/v2/a/manifests/", "unknown"],
    ["admin", "GET", "/v2/a/blobs/latest", "unknown"],
    // A malformed digest gets the registry's own answer.
    ["team", "PUT", "/v2/team/a/manifests/sha256:totallywrong", "allowed"],
    ["team", "PUT", "/v2/base/manifests/sha256:totallywrong", "denied"],
    ["team", "GET", "/v2/team/a/blobs/sha256:a=b_c-d", "allowed"],
    ["admin", "GET", "/v2/a/blobs/SHA256:abc", "unknown"],
    ["admin", "PUT", "/v2/a/manifests/sha256:", "unknown"],
    ["admin", "PUT", "/v2/a/manifests/sha256:a.b", "unknown"],
    ["admin", "PUT", "/v2/a/manifests/sha256:..%2fx", "unknown"],
    ["admin", "GET", "/v2/a/tags/lists", "unknown"],
    ["admin", "GET", "/v2/manifests/latest", "unknown"],
    ["admin", "GET", "/v1/_ping", "unknown"],
  ])("%s %s %s: %s", (user, method, target, verdict) => {
    expect(decide(users, user, method, target)).toBe(verdict);
  });

  it("reads a name that looks like a part of the API as the name it is", () => {
    expect(parsePath("/v2/blobs/uploads/manifests/latest")).toEqual({
      kind: "manifest",
      repository: "blobs/uploads",
    });
    expect(parsePath("/v2/a/manifests/blobs/uploads/")).toEqual({
      kind: "upload",
      repository: "a/manifests",
    });
    expect(parsePath("/v2/tags/tags/list")).toEqual({ kind: "tags", repository: "tags" });
  });

  it("takes a name of 255 characters and no longer one", () => {
    expect(repositoryOf(`/v2/${"a".repeat(255)}/tags/list`)).toHaveLength(255);
    expect(repositoryOf(`/v2/${"a".repeat(256)}/tags/list`)).toBe("");
  });
});

describe("the script for nginx", () => {
  const module = renderRights(users).replace("export default", "const users =");
  const text = rightsScript()
    .replace(/^import .*$/gm, "")
    .replace(/^export default (.*);$/m, "globalThis.exported = $1;");
  const context = vm.createContext({});
  vm.runInContext(`${module}\n${text}`, context);
  const { route, affinity } = (
    context as unknown as { exported: Record<"route" | "affinity", (request: object) => string> }
  ).exported;
  const request = (user: string, method: string, target: string): object => ({
    method,
    variables: { remote_user: user, request_uri: target, request_id: "random" },
  });

  it("stands on its own and decides the same", () => {
    for (const [user, method, target] of [
      ["team", "POST", "/v2/team/a/blobs/uploads/?from=base"],
      ["team", "POST", "/v2/team/a/blobs/uploads/?from=secret"],
      ["team", "GET", "/v2/_catalog"],
      ["admin", "GET", "/v2/_catalog"],
      ["admin", "GET", "/v2/x"],
    ] as const) {
      expect(route(request(user, method, target))).toBe(routeOf(users, user, method, target));
    }
  });

  it("binds a repository to one replica, and nothing else to any", () => {
    expect(affinity(request("team", "GET", "/v2/team/a/tags/list"))).toBe("team/a");
    expect(affinity(request("team", "GET", "/v2/"))).toBe("random");
  });

  it("uses nothing that njs 0.8 lacks", () => {
    expect(text).not.toMatch(/\?\.|\?\?|\.\.\.|\bclass\b|\basync\b/);
  });
});
