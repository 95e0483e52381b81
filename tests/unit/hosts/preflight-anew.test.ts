import { describe, expect, it } from "vitest";
import type { PreflightHost, PreflightInputs } from "../../../hosts/src/contract";
import { preflight } from "../../../hosts/src/preflight";
import { guest } from "../../../hosts/src/virtualbox";
import { isBeingInstalled } from "../../../hosts/src/virtualbox/again";
import { Sandbox, canSandbox } from "./support/sandbox";
import { answeringSystem, installedGuest, TestVirtualBox } from "./support/virtualbox";

const services = `#!/bin/sh
case "$*" in
  "service ls"*) echo s1; echo s2; echo s3 ;;
  "service inspect"*) echo registry-a sha256:old; echo minio-a sha256:new; echo nginx nginx@sha256:pulled ;;
  *) echo '28.5.0|active|n1|c1|/x' ;;
esac
`;
const mark = '{"joining":false,"cluster":"c1","node":"n1"}';

const installed = '{"installHash":"1"}';

/** A member that was installed with the digest `1`. */
async function member(node: string, tools: Record<string, string> = {}): Promise<PreflightHost> {
  const sandbox = await Sandbox.start({ docker: services, ...tools }, { node });
  sandbox.write("etc/moorage/swarm", mark);
  sandbox.write("etc/moorage/install.json", installed);
  const target = sandbox.server.connection();
  return { target, address: "10.0.2.11", interface: "lo", disk: "/dev/sda", ports: [], installHash: "1" };
}

/** A host that is in no Swarm. */
async function outside(node: string) {
  const sandbox = await Sandbox.start({ docker: "#!/bin/sh\necho '28.5.0|inactive|||/x'\n" }, { node });
  sandbox.write("etc/moorage/install.json", installed);
  return { target: sandbox.server.connection(), address: "10.0.2.12", interface: "lo", ports: [] };
}

const inputs = (hosts: Record<string, PreflightHost>, more: Partial<PreflightInputs> = {}) => ({
  hosts,
  maximumClockSkew: 5,
  minimumFreeMiB: 0,
  timeoutSeconds: 100,
  imageIds: ["sha256:old", "sha256:new"],
  ...more,
});

const otherwise = (host: PreflightHost): PreflightHost => ({ ...host, installHash: "2" });

const update = (before: PreflightInputs, after: PreflightInputs) =>
  preflight.update("preflight", { ...before, findings: {}, row: [] }, after);

/** A guest that is there, and one installation of it. */
async function guestOf() {
  const box = new TestVirtualBox();
  const wanted = box.guest((await answeringSystem()).connection());
  await guest.create(wanted);
  const { hypervisor, name, stack, iso } = wanted;
  return { box, own: { hypervisor, name, stack, iso, isoSha256: "" } };
}

describe.skipIf(!canSandbox)("before a reinstallation", () => {
  it("no service runs from an image that the new system will not have, and the system's image is there", async () => {
    const [a, b] = [await member("a"), await member("b")];
    const before = inputs({ a, b });
    const after = (of: PreflightHost) => inputs({ a: of, b }, { imageIds: ["sha256:new"] });
    await expect(update(before, after(otherwise(a)))).rejects.toThrow(
      /1 problem; nothing was touched:\n {2}a: would be installed anew, without the images that registry-a still runs from, .* To do: make one change after the other: /,
    );
    // Each by itself.
    expect((await update(before, after(a))).row).toEqual([]);
    expect((await update(before, { ...before, hosts: { a: otherwise(a), b } })).row).toEqual(["a"]);
    // An update that was stopped has recorded the digest; the host itself knows better.
    const stopped = inputs({ a: otherwise(a), b }, { imageIds: ["sha256:old"] });
    await expect(update(stopped, after(otherwise(a)))).rejects.toThrow(/a: would be installed anew/);
    const withImage = inputs({ a, b }, { image: { path: "/none/there.bin", sha512: "0".repeat(128) } });
    await expect(update(withImage, { ...withImage, hosts: { a: otherwise(a), b } })).rejects.toThrow(
      /1 problem; .*\n {2}os\.image: the image \/none\/there\.bin cannot be read/,
    );
    expect((await update(withImage, withImage)).row).toEqual([]);
  });

  it("nor does one on a host that its owner has installed again", async () => {
    const [a, b] = [await member("a"), await outside("b")];
    const of = (...imageIds: string[]) => inputs({ a, b }, { imageIds });
    const [former, next] = [of("sha256:old", "sha256:new"), of("sha256:new")];
    await expect(update(former, next)).rejects.toThrow(
      /1 problem; nothing was touched:\n {2}b: would join the Swarm anew, without the images that registry-a still runs from, .* To do: make one change after the other: /,
    );
    // Each by itself, a new node, and one where an earlier update has begun the change.
    expect((await update(former, former)).row).toEqual([]);
    expect((await update(inputs({ a }, { imageIds: former.imageIds }), next)).row).toEqual([]);
    expect((await update(next, next)).row).toEqual([]);
  });

  it("another cloud-config is none, unless the disk, or the address that SSH goes to, changes", async () => {
    const a = await member("a");
    const [format, imageIds] = ["cloud-config" as const, ["sha256:new"]];
    const image = { path: "/none/there.bin", sha512: "0".repeat(128) };
    const before = inputs({ a }, { format, imageIds, image });
    const to = (changes: Partial<PreflightHost>) =>
      update(before, { ...before, hosts: { a: { ...otherwise(a), ...changes } } });
    for (const changes of [{}, { address: "10.0.2.21" }]) expect((await to(changes)).row).toEqual(["a"]);
    for (const changes of [{ disk: "/dev/sdb" }, { address: a.target.host }])
      await expect(to(changes)).rejects.toThrow(/2 problems; .*a: would be/s);
  });

  it("the guest and its installer's image are checked, of that node alone", async () => {
    const { box, own } = await guestOf();
    const [a, b] = [await member("a"), await member("b")];
    const before = inputs({ a: { ...a, guest: own }, b: { ...b, guest: { ...own, name: "nobody" } } });
    const after = (changes: object) =>
      inputs({ ...before.hosts, a: { ...otherwise(a), guest: { ...own, ...changes } } });
    expect(preflight.diff({ ...before, findings: {} }, inputs({ a, b })).changes).toBe(false);
    expect((await update(before, after({}))).row).toEqual(["a"]);
    await expect(update(before, after({ stack: "another" }))).rejects.toThrow(
      /1 problem; .*\n {2}a: .*there is no guest of this stack by that name on the hypervisor\. Run `pulumi up --refresh`$/,
    );
    await expect(update(before, after({ isoSha256: "0".repeat(64) }))).rejects.toThrow(
      /\n {2}a: .*the installer's image .* is another one: its sha256 is [0-9a-f]{64}, and was 0{64}\. Delete it there/,
    );
    await expect(update(before, after({ iso: box.file("gone.iso") }))).rejects.toThrow(
      /\n {2}a: .*the installer's image .*gone\.iso is gone: run `pulumi up --refresh`/,
    );
  });

  it("a guest's new address is free, or its own; on metal its live installer may have it", async () => {
    const { own } = await guestOf();
    const there = "10.0.2.31 dev eth0 lladdr 08:00:27:00:00:31";
    // By their last number: an own one, one that answers, one that answers no ping, one that is gone, none.
    const ip = `#!/bin/sh
case "$*" in
  *address*) echo "2: eth0 inet 10.0.2.30/24 brd 10.0.2.255" ;;
  *31|*32) echo "${there} REACHABLE" ;;
  *33) echo "${there} FAILED" ;;
esac
`;
    const ping = `#!/bin/sh\ncase "$*" in *31) ;; *) exit 1 ;; esac\n`;
    const a = await member("a", { ip, ping });
    const to = (number: number, is: object = { guest: own }) =>
      update(
        inputs({ a: { ...is, ...a } }),
        inputs({ a: { ...otherwise(a), ...is, address: `10.0.2.${number}` } }),
      );
    for (const number of [31, 32]) {
      await expect(to(number)).rejects.toThrow(
        `  a: would be installed at 10.0.2.${number}, where somebody else answers already (08:00:27:00:00:31). ` +
          "To do: give `nodes.a.address` one that is free, or take that one out of the network first",
      );
    }
    for (const number of [30, 33, 34]) expect((await to(number)).row).toEqual(["a"]);
    expect((await to(31, {})).row).toEqual(["a"]);
  });

  it("a guest's mark that was left ends if the change is taken back, or the node is in the Swarm", async () => {
    const { box, inputs: wanted, id, outs } = await installedGuest((await answeringSystem()).connection());
    const { hypervisor, name, stack, iso } = wanted;
    const own = { hypervisor, name, stack, iso };
    const inSwarm: PreflightHost = { ...(await member("a")), guest: own };
    const hasLeft = { ...inSwarm, ...(await outside("a")) };
    const others = { ...hasLeft, guest: { ...own, stack: "another" } };
    const rows: [PreflightHost, PreflightHost, string, boolean][] = [
      [hasLeft, hasLeft, "installation", true],
      [hasLeft, otherwise(hasLeft), "installation", true],
      [otherwise(hasLeft), hasLeft, "installation", false],
      [inSwarm, otherwise(inSwarm), "installation", false],
      // Neither one of another stack, nor another mark.
      [otherwise(others), others, "installation", true],
      [otherwise(hasLeft), hasLeft, "settings", true],
    ];
    for (const [from, to, what, stays] of rows) {
      await box.manage("setextradata", name, "moorage/off-for", what);
      await update(inputs({ a: from }), inputs({ a: to }));
      const left = await box.manage("getextradata", name, "moorage/off-for");
      expect(left, JSON.stringify([from, to, what])).toBe(stays ? `Value: ${what}\n` : "No value set!\n");
      expect(await isBeingInstalled({ ...outs, id })).toBe(stays && what === "installation");
    }
  });
});
