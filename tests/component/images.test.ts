import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { must } from "../../lab/exec";
import { resolveImages } from "../../components/images";
import { Recorder } from "../support/mocks";
import { rawConfig } from "./parts";
import { setConfig } from "./program";

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
let folder: string;
let archive: string;

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-images-"));
  archive = path.join(folder, "web.tar");
  fs.writeFileSync(
    path.join(folder, "manifest.json"),
    JSON.stringify([{ Config: `${"1".repeat(64)}.json` }]),
  );
  await must("tar", ["--format=ustar", "-cf", archive, "-C", folder, "manifest.json"]);
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

const named = { name: "example", digest: digest("0") };

test("archives are named by the id of their image, others by name and digest", () => {
  const { references, archives } = resolveImages({
    minio: named,
    registry: named,
    nginx: { archive },
    haproxy: { archive: "/not/here.tar", imageId: digest("2") },
    keepalived: named,
  });
  expect(references.nginx).toBe(digest("1"));
  expect(references.minio).toBe(`example@${digest("0")}`);
  expect(Object.keys(archives)).toEqual(["nginx", "haproxy"]);
});

test("names of Docker Hub are shortened as Docker's provider records them, so that no preview shows a change", () => {
  const image = (name: string) => ({ name, digest: digest("0") });
  const { references } = resolveImages({
    minio: image("docker.io/minio/minio:1"),
    registry: image("index.docker.io/library/registry:3"),
    nginx: image("docker.io/library/nginx:1.29"),
    haproxy: image("quay.io/library/haproxy:3"),
    keepalived: image("example/keepalived"),
  });
  expect(Object.values(references).map((one) => one.split("@")[0])).toEqual([
    "minio/minio:1",
    "registry:3",
    "nginx:1.29",
    "quay.io/library/haproxy:3",
    "example/keepalived",
  ]);
});

test("every archive that is missing, is none or holds another image is told at once", () => {
  const images = {
    minio: { archive: "/not/here.tar" },
    registry: { archive: path.join(folder, "manifest.json") },
    nginx: { archive, imageId: digest("2") },
    haproxy: named,
    keepalived: named,
  };
  expect(() => resolveImages(images)).toThrow(
    new RegExp(
      [
        "has 3 mistakes; nothing was touched\\.",
        "  moorage:images\\.minio\\.archive: found /not/here\\.tar; wanted an archive made by `docker save`: ENOENT.*",
        "  moorage:images\\.registry\\.archive: found .*manifest\\.json; wanted .*",
        `  moorage:images\\.nginx\\.imageId: found ${digest("2")}; wanted ${digest("1")}, which .*web\\.tar holds.*`,
      ].join("\n"),
    ),
  );
});

test("and with every other mistake of the configuration", async () => {
  const raw = rawConfig((one) => {
    (one.nodes?.coreos2 as Record<string, unknown>).address = "10.0.2.11";
    (one.images ?? {}).nginx = { archive: "/not/here.tar" };
    (one.images ?? {}).haproxy = { archive, imageId: digest("2") };
  });
  await new Recorder().install();
  setConfig(raw);
  await expect(import("../../index")).rejects.toThrow(
    /3 mistakes; nothing was touched\.\n.*images\.nginx\.archive: .*\n.*images\.haproxy\.imageId: .*\n.*coreos2\.address: /,
  );
});
