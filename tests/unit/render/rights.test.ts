import type { RegistryUserModel } from "@moorage/render";
import { describe, expect, it } from "vitest";
import engine from "../../../render/assets/nginx/engine.js";

const { acceptedTypes, contentOf, decide, parsePath, routeOf } = engine;
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
      reference: "latest",
    });
    expect(parsePath("/v2/a/manifests/blobs/uploads/")).toEqual({
      kind: "upload",
      repository: "a/manifests",
      reference: "",
    });
    expect(parsePath("/v2/tags/tags/list")?.repository).toBe("tags");
  });

  it("takes a name of 255 characters and no longer one", () => {
    expect(parsePath(`/v2/${"a".repeat(255)}/tags/list`)?.repository).toHaveLength(255);
    expect(parsePath(`/v2/${"a".repeat(256)}/tags/list`)).toBeUndefined();
  });
});

describe("the cache", () => {
  it.each([
    ["GET", `blobs/${digest}`, "blob"],
    ["GET", `blobs/sha512:${"0".repeat(128)}`, "blob"],
    ["GET", `manifests/${digest}`, "manifest"],
    ["GET", "manifests/latest", "tag"],
    ["HEAD", "manifests/latest", "tag"],
    ["HEAD", `manifests/${digest}`, "manifest_head"],
    // Clients skip uploads on this answer.
    ["HEAD", `blobs/${digest}`, "api"],
    ["GET", "blobs/sha256:totallywrong", "api"],
    ["GET", `referrers/${digest}`, "api"],
    ["GET", "tags/list", "api"],
    ["DELETE", `blobs/${digest}`, "api"],
    ["PUT", "manifests/latest", "manifest_write"],
    ["DELETE", `manifests/${digest}`, "manifest_write"],
    ["PATCH", "blobs/uploads/0a", "upload"],
  ])("%s of %s: %s", (method, path, route) => {
    expect(routeOf(users, "admin", method, `/v2/a/b/${path}`)).toBe(route);
    expect(routeOf(users, "nobody", method, `/v2/a/b/${path}`)).toBe("denied");
  });

  it("names content by kind, repository and reference, without the query", () => {
    expect(contentOf("/v2/team/a/manifests/v1?ns=docker.io")).toBe("manifest/team/a@v1");
    expect(contentOf(`/v2/a/blobs/${digest}`)).toBe(`blob/a@${digest}`);
    expect(contentOf("/v2/a%2fb/manifests/v1")).toBe("");
  });

  it("tells apart what types of manifest a client accepts", () => {
    expect(acceptedTypes("")).toBe("0000");
    expect(acceptedTypes("application/vnd.oci.image.index.v1+json, text/plain")).toBe("0001");
    const docker = "application/vnd.docker.distribution.manifest";
    expect(acceptedTypes(`${docker}.v2+json,${docker}.list.v2+json`)).toBe("1100");
  });
});
