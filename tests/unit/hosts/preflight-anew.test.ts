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

/** A member that was installed with the digest `1`. */
async function member(node: string, tools: Record<string, string> = {}): Promise<PreflightHost> {
  const sandbox = await Sandbox.start({ docker: services, ...tools }, { node });
  sandbox.write("etc/moorage/swarm", mark);
  sandbox.write("etc/moorage/install.json", '{"installHash":"1"}');
  const target = sandbox.server.connection();
  return { target, address: "10.0.2.11", interface: "lo", disk: "/dev/sda", ports: [], installHash: "1" };
}

const inputs = (hosts: Record<string, PreflightHost>, more: Partial<PreflightInputs> = {}) => ({
  hosts,
  minimumDocker: "20.10",
  maximumClockSkew: 5,
  minimumFreeMiB: 0,
  timeoutSeconds: 30,
  imageIds: ["sha256:old", "sha256:new"],
  ...more,
});

const otherwise = (host: PreflightHost): PreflightHost => ({ ...host, installHash: "2" });

const update = (before: PreflightInputs, after: PreflightInputs) =>
  preflight.update("preflight", { ...before, findings: {}, row: [] }, after);

describe.skipIf(!canSandbox)("before a reinstallation", () => {
  it("no service may wait for an image that the new system will not have", async () => {
    const [a, b] = [await member("a"), await member("b")];
    const before = inputs({ a, b }, { imageIds: ["sha256:old", "sha256:new"] });
    const after = (of: PreflightHost, more: object = {}) =>
      inputs({ a: of, b }, { imageIds: ["sha256:new"], ...more });
    await expect(update(before, after(otherwise(a)))).rejects.toThrow(
      /1 problem; nothing was touched:\n {2}a: would be installed anew, without the images that registry-a still runs from, .* To do: make one change after the other: /,
    );
    // Each by itself.
    expect((await update(before, after(a))).row).toEqual([]);
    expect((await update(before, { ...before, hosts: { a: otherwise(a), b } })).row).toEqual(["a"]);
    // An update that was stopped has recorded the digest; the host itself knows better.
    const stopped = inputs({ a: otherwise(a), b }, { imageIds: ["sha256:old"] });
    await expect(update(stopped, after(otherwise(a)))).rejects.toThrow(/a: would be installed anew/);
  });

  it("nor may one wait for it on a host that its owner has set up anew", async () => {
    const a = await member("a");
    const bare = await Sandbox.start({ docker: "#!/bin/sh\necho '28.5.0|inactive|||/x'\n" }, { node: "b" });
    const b = { target: bare.server.connection(), address: "10.0.2.12", interface: "lo", ports: [] };
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

  it("that is none, as another cloud-config is applied by a reboot, nothing is asked", async () => {
    const a = await member("a");
    const [format, imageIds] = ["cloud-config" as const, ["sha256:new"]];
    const image = { path: "/none/there.bin", sha512: "0".repeat(128) };
    const before = inputs({ a }, { format, imageIds, image });
    expect((await update(before, { ...before, hosts: { a: otherwise(a) } })).row).toEqual(["a"]);
    const moved = { ...otherwise(a), disk: "/dev/sdb" };
    await expect(update(before, { ...before, hosts: { a: moved } })).rejects.toThrow(
      /2 problems; .*a: would be/s,
    );
    // Nor is it one where SSH goes to the address that changes, as it does unless another way is configured.
    const elsewhere = { ...otherwise(a), address: "10.0.2.21" };
    expect((await update(before, { ...before, hosts: { a: elsewhere } })).row).toEqual(["a"]);
    const followed = { ...otherwise(a), address: a.target.host };
    await expect(update(before, { ...before, hosts: { a: followed } })).rejects.toThrow(
      /2 problems; .*a: would be/s,
    );
  });

  it("the image's file is looked at while its node serves", async () => {
    const a = await member("a");
    const image = { path: "/none/there.bin", sha512: "0".repeat(128) };
    const before = inputs({ a }, { image });
    await expect(update(before, { ...before, hosts: { a: otherwise(a) } })).rejects.toThrow(
      /1 problem; .*\n {2}os\.image: the image \/none\/there\.bin cannot be read/,
    );
    expect((await update(before, before)).row).toEqual([]);
  });

  it("so are the guest's mark and the installer's image, of that node alone", async () => {
    const box = new TestVirtualBox();
    const wanted = box.guest((await answeringSystem()).connection());
    await guest.create(wanted);
    const { hypervisor, name, stack, iso } = wanted;
    const own = { hypervisor, name, stack, iso, isoSha256: "" };
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

  it("a guest's new address is free, or its own already; on metal its live installer is there on purpose", async () => {
    const box = new TestVirtualBox();
    const wanted = box.guest((await answeringSystem()).connection());
    await guest.create(wanted);
    const { hypervisor, name, stack, iso } = wanted;
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
    const own = { hypervisor, name, stack, iso, isoSha256: "" };
    const at = (number: number, is: object = { guest: own }) =>
      inputs({ a: { ...otherwise(a), ...is, address: `10.0.2.${number}` } });
    const before = (is?: object) => inputs({ a: { ...at(11, is).hosts["a"], ...a } as PreflightHost });
    for (const number of [31, 32]) {
      await expect(update(before(), at(number))).rejects.toThrow(
        `  a: would be installed at 10.0.2.${number}, where somebody else answers already (08:00:27:00:00:31). ` +
          "To do: give `nodes.a.address` one that is free, or take that one out of the network first",
      );
    }
    for (const number of [30, 33, 34]) expect((await update(before(), at(number))).row).toEqual(["a"]);
    expect((await update(before({}), at(31, {}))).row).toEqual(["a"]);
  });

  it("a guest's mark of one that was cut off ends where the change is taken back, or the node is in the Swarm", async () => {
    const { box, inputs: wanted, id, outs } = await installedGuest((await answeringSystem()).connection());
    const { hypervisor, name, stack, iso } = wanted;
    const marked = (mark = "installation") => box.manage("setextradata", "coreos1", "moorage/off-for", mark);
    const isMarked = () => isBeingInstalled({ ...outs, id });
    // Each of them is the node of this one guest in its turn.
    const inSwarm = { ...(await member("a")), guest: { hypervisor, name, stack, iso } };
    const sandbox = await Sandbox.start(
      { docker: "#!/bin/sh\necho '28.5.0|inactive|||/x'\n" },
      { node: "a" },
    );
    sandbox.write("etc/moorage/install.json", '{"installHash":"1"}');
    const hasLeft = { ...inSwarm, target: sandbox.server.connection() };
    const of = (host: PreflightHost) => inputs({ a: host });

    await marked();
    // Nobody has changed anything, or it goes on.
    await update(of(hasLeft), of(hasLeft));
    await update(of(hasLeft), of(otherwise(hasLeft)));
    expect(await isMarked()).toBe(true);
    await update(of(otherwise(hasLeft)), of(hasLeft));
    expect(await isMarked()).toBe(false);
    await marked();
    await update(of(inSwarm), of(otherwise(inSwarm)));
    expect(await isMarked()).toBe(false);

    // Neither one of another stack, nor what it is off for besides.
    await marked();
    const others = { ...hasLeft, guest: { ...inSwarm.guest, stack: "another" } };
    await update(of(otherwise(others)), of(others));
    expect(await isMarked()).toBe(true);
    await marked("settings");
    await update(of(otherwise(hasLeft)), of(hasLeft));
    expect(await box.manage("getextradata", "coreos1", "moorage/off-for")).toBe("Value: settings\n");
  }, 60_000);
});
