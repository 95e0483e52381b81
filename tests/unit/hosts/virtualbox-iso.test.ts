import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import type { IsoImageInputs } from "../../../hosts/src/virtualbox/contract";
import { isoImage } from "../../../hosts/src/virtualbox/iso";
import { afterwards, logged, temporaryFolder } from "./support/stop";
import { TestVirtualBox } from "./support/virtualbox";

const image = "the live system of a test\n";
const digest = (kind: string, text = image): string => createHash(kind).update(text).digest("hex");

/** A release server: files by path. It is a proxy, too. */
class Releases {
  readonly files = new Map<string, string | Buffer>();
  /** Where a path is redirected to. */
  readonly elsewhere = new Map<string, string>();
  asked: string[] = [];
  url = "";

  static async start(version = "4081.2.0"): Promise<Releases> {
    const releases = new Releases();
    const server = http.createServer((request, response) => {
      const pathname = new URL(request.url ?? "/", "http://host").pathname;
      releases.asked.push(request.url ?? "");
      const file = releases.files.get(pathname);
      const Location = releases.elsewhere.get(pathname);
      if (Location !== undefined) return response.writeHead(302, { Location }).end();
      if (file === undefined) response.writeHead(404);
      response.end(file);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    afterwards(() => server.close());
    releases.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    releases.release(version);
    return releases;
  }

  release(version: string): void {
    this.files.set(
      "/alpha/current/version.txt",
      `FLATCAR_BUILD=1\nFLATCAR_VERSION=${version}\nFLATCAR_SDK=2\n`,
    );
    this.files.set(`/alpha/${version}/flatcar.iso`, image);
    const digests = `# MD5 HASH\n${digest("md5")}  flatcar.iso\n# SHA512 HASH\n${digest("sha512")}  flatcar.iso\n`;
    this.files.set(`/alpha/${version}/flatcar.iso.DIGESTS`, digests);
  }

  get images(): string[] {
    return this.asked.filter((each) => each.endsWith(".iso"));
  }
}

function inputsOf(
  box: TestVirtualBox,
  releases: Releases,
  changes: Partial<IsoImageInputs> = {},
): IsoImageInputs {
  return {
    hypervisor: box.hypervisor,
    url: `${releases.url}/{channel}/{version}/flatcar.iso`,
    channel: "alpha",
    timeoutSeconds: 30,
    ...changes,
  };
}

const name = "alpha-4081.2.0-flatcar.iso";
/** Answers nothing, directly or as a proxy. */
const nobody = "http://127.0.0.1:1";
/** Only a proxy leads there. */
const url = `${nobody}/{channel}/{version}/flatcar.iso`;
// The machine's own proxies count for nothing here.
for (const name of ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]) {
  delete process.env[name];
  delete process.env[name.toUpperCase()];
}
const start = async () => [new TestVirtualBox(), await Releases.start()] as const;

describe("an ISO image", () => {
  it("of a channel is resolved once, fetched once, checked, and used again", async () => {
    const [box, releases] = await start();
    const inputs = inputsOf(box, releases);
    const { id, outs } = await isoImage.create(inputs);
    expect(outs).toMatchObject({ resolvedVersion: "4081.2.0", fileSha256: digest("sha256") });
    expect(outs.file).toBe(box.file("vms/moorage/iso", name));
    expect(fs.readFileSync(outs.file, "utf8")).toBe(image);
    expect(outs.checked).toEqual([
      "SHA512 is the one published beside it",
      "signature not checked, as no key is configured",
    ]);
    // A newer version in the channel changes nothing.
    releases.release("4099.0.0");
    expect(isoImage.diff(outs, inputs).changes).toBe(false);
    expect(await isoImage.read(id, outs)).toEqual({ id, outs });
    const again = await isoImage.update(id, outs, { ...inputs, sha256: digest("sha256") });
    expect(again).toMatchObject({ resolvedVersion: "4081.2.0", file: outs.file });
    expect(again.checked[0]).toBe("sha256 is the configured one");
    expect(releases.images).toEqual(["/alpha/4081.2.0/flatcar.iso"]);
    // A version that is configured is another file.
    const next = await isoImage.update(id, outs, { ...inputs, version: "4099.0.0" });
    expect(next.file).toContain("alpha-4099.0.0-flatcar.iso");
    // One that is deleted there is fetched again.
    fs.rmSync(outs.file);
    expect(await isoImage.read(id, outs)).toBeUndefined();
  });

  it("that differs from the one that was checked shows in a refresh; an operator's own only if it is pinned", async () => {
    const [box, releases] = await start();
    const { id, outs } = await isoImage.create(inputsOf(box, releases));
    fs.appendFileSync(outs.file, "!");
    expect(await isoImage.read(id, outs)).toBeUndefined();
    expect(logged).toContain(
      `warning: hypervisor: ${outs.file} is another one than was checked; the next update checks it`,
    );
    await expect(isoImage.create(inputsOf(box, releases))).rejects.toThrow(/and was .* when it was checked/);
    const path = box.file("own.iso");
    const ownInputs = inputsOf(box, releases, { url: undefined, path });
    await expect(isoImage.create(ownInputs)).rejects.toThrow(
      `hypervisor: there is no ISO image ${path} there`,
    );
    fs.writeFileSync(path, image);
    const own = (await isoImage.create(ownInputs)).outs;
    expect(logged).toContain(`warning: hypervisor: ${path}: nothing was checked: no checksum is known`);
    fs.appendFileSync(path, "!");
    expect(await isoImage.read(path, own)).toEqual({ id: path, outs: own });
    expect(await isoImage.read(path, { ...own, signingKey: "some key" })).toBeUndefined();
  });

  it("that is not what its checksum says is refused and not kept", async () => {
    const [box, releases] = await start();
    const wrong = "0".repeat(64);
    await expect(isoImage.create(inputsOf(box, releases, { sha256: wrong }))).rejects.toThrow(
      `its sha256 is ${digest("sha256")}, wanted ${wrong}`,
    );
    releases.files.set("/alpha/4081.2.0/flatcar.iso.DIGESTS", `${"1".repeat(128)}  flatcar.iso\n`);
    await expect(isoImage.create(inputsOf(box, releases))).rejects.toThrow(
      /its SHA512 is not the published one/,
    );
    expect(fs.readdirSync(box.file("vms/moorage/iso"))).toEqual([]);
  });

  const beside = (kind: string) => `/alpha/4081.2.0/flatcar.iso.${kind}`;

  it("whose checksum cannot be fetched is refused, and kept for the next run; not one whose signature is missing", async () => {
    const [box, releases] = await start();
    // As if http:// leads to https://, for which no proxy is configured.
    const inputs = inputsOf(box, releases, { url, proxies: { http: releases.url, none: [] } });
    releases.elsewhere.set(beside("DIGESTS"), "https://127.0.0.1:1/");
    await expect(isoImage.create(inputs)).rejects.toThrow(
      /http:\/\/127\.0\.0\.1:1\/alpha\/4081\.2\.0\/flatcar\.iso\.DIGESTS cannot be fetched from there, .*\sname it in os\.proxies\.https/,
    );
    releases.elsewhere.delete(beside("DIGESTS"));
    const { outs } = await isoImage.create(inputs);
    expect(outs.checked[0]).toBe("SHA512 is the one published beside it");
    expect(releases.images).toHaveLength(1);
    const signed = { ...inputs, signingKey: "some key" };
    await expect(isoImage.update("", outs, signed)).rejects.toThrow(
      /there is no signature .*flatcar\.iso\.sig/,
    );
    releases.files.delete(beside("DIGESTS"));
    // Without its signature the file was removed.
    expect(fs.existsSync(outs.file)).toBe(false);
    const bare = await isoImage.update("", outs, inputs);
    expect(bare.checked[0]).toBe("nothing was checked: no checksum is known");
  });

  it("that was checked once is checked again without internet", async () => {
    const [box, releases] = await start();
    const of = (http: string) =>
      inputsOf(box, releases, { url, version: "4081.2.0", proxies: { http, none: [] } });
    const [online, offline] = [of(releases.url), of(nobody)];
    const { outs } = await isoImage.create(online);
    expect(fs.readFileSync(`${outs.file}.sha256`, "utf8")).toBe(`${digest("sha256")}  ${name}\n`);
    const first = async (inputs: IsoImageInputs) => (await isoImage.create(inputs)).outs.checked[0];
    // Another stack does not know of the first one's check, but finds its file.
    expect(await first(offline)).toBe("sha256 is that of an earlier check");
    fs.rmSync(`${outs.file}.sha256`);
    await expect(first(offline)).rejects.toThrow(/DIGESTS cannot be fetched.*hypervisor\.iso\.path/s);
    expect(await first({ ...offline, sha256: digest("sha256") })).toMatch(/configured/);
    expect(await first(offline)).toMatch(/earlier/);
    // Damaged since, it is not kept; the one that is fetched then may be another one.
    fs.appendFileSync(outs.file, "!");
    await expect(first(offline)).rejects.toThrow(/its sha256 is .*, and was .* when it was checked/);
    expect(fs.readdirSync(box.file("vms/moorage/iso"))).toEqual([]);
    fs.writeFileSync(`${outs.file}.sha256`, `${"0".repeat(64)}  x\n`);
    expect(await first(online)).toMatch(/published/);
  });

  it("is refused if its signature is not by the configured key", async () => {
    const [box, releases] = await start();
    const keys = temporaryFolder();
    const gpg = (...args: string[]) =>
      execFileSync("gpg", ["--homedir", keys, "--batch", "--quiet", ...args], {
        stdio: ["pipe", "pipe", "ignore"],
      });
    fs.chmodSync(keys, 0o700);
    gpg("--passphrase", "", "--quick-generate-key", "release@test", "ed25519", "sign", "never");
    const file = path.join(keys, "flatcar.iso");
    fs.writeFileSync(file, image);
    gpg("--output", `${file}.sig`, "--detach-sign", file);
    const signed = inputsOf(box, releases, {
      signingKey: gpg("--armor", "--export", "release@test").toString(),
    });
    releases.files.set(beside("sig"), fs.readFileSync(`${file}.sig`));
    const { outs } = await isoImage.create(signed);
    expect(outs.checked[1]).toMatch(/^signature by key [0-9A-F]{40}$/);
    fs.rmSync(outs.file);
    const other = "something else\n";
    releases.files.set("/alpha/4081.2.0/flatcar.iso", other);
    releases.files.set(beside("DIGESTS"), `${digest("sha512", other)}  flatcar.iso\n`);
    await expect(isoImage.create(signed)).rejects.toThrow(/BAD signature/);
    execFileSync("gpgconf", ["--homedir", keys, "--kill", "all"]);
  });

  it("is fetched through the proxy of its URL's scheme, and through none if it is reached without one", async () => {
    const [box, releases] = await start();
    const fetched = (proxies: IsoImageInputs["proxies"]) =>
      isoImage.create(inputsOf(box, releases, { url, proxies }));
    const { outs } = await fetched({ http: releases.url, https: nobody, none: [] });
    expect(outs.resolvedVersion).toBe("4081.2.0");
    expect(releases.images).toEqual([`${nobody}/alpha/4081.2.0/flatcar.iso`]);
    expect(isoImage.diff(outs, { ...outs, proxies: undefined }).changes).toBe(false);
    fs.rmSync(outs.file);
    await expect(fetched({ https: releases.url, none: [] })).rejects.toThrow(
      /failed to connect.*version\.txt cannot be fetched from there\..*name it in os\.proxies\.https.*hypervisor\.iso\.path/is,
    );
    // With a proxy that answers nothing, but not for this host.
    const inside = inputsOf(box, releases, { proxies: { http: nobody, none: ["127.0.0.1"] } });
    expect((await isoImage.create(inside)).outs.resolvedVersion).toBe("4081.2.0");
  });

  it("that cannot be fetched leaves nothing, and says what was asked for", async () => {
    const [box, releases] = await start();
    await expect(isoImage.create(inputsOf(box, releases, { version: "1.0.0" }))).rejects.toThrow(
      /fetching http:\/\/127\.0\.0\.1:\d+\/alpha\/1\.0\.0\/flatcar\.iso failed.*404/s,
    );
    expect(fs.readdirSync(box.file("vms/moorage/iso"))).toEqual([]);
    await expect(isoImage.create(inputsOf(box, releases, { channel: "beta" }))).rejects.toThrow(
      /version\.txt/,
    );
  });
});
