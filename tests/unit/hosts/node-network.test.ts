import { existsSync, statSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { Connection, NodeNetworkInputs } from "../../../hosts/src/contract";
import { nodeNetwork } from "../../../hosts/src/node-network";
import { runScript } from "../../../hosts/src/ssh/exec";
import { row } from "../../../hosts/src/swarm/turn";
import { Sandbox, canSandbox } from "./support/sandbox";
import { logged } from "./support/stop";
import { wayTo } from "./support/way";

const folder = "etc/systemd/network";
const first = `/${folder}/10-moorage.network`;
const second = `/${folder}/10-eth1.network`;
const works = "[Network]\nAddress=10.0.2.11/24\n";

/** Starts units and timers as systemd would, detached from whoever asked. */
const systemctl = `#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE/systemctl.log"
verb=$1; shift
while case "$1" in -*) true ;; *) false ;; esac; do shift; done
text=/etc/systemd/system/$1
run() { setsid sh -c "$1" >/dev/null 2>&1 & }
case "$verb $1" in
  "start "*.timer)
    run "echo \\$\\$ > $FAKE/timer; sleep $(sed -n 's/^OnActiveSec=\\(.*\\)s$/\\1/p' "$text"); rm -f $FAKE/timer; systemctl start \${1%.timer}.service" ;;
  "stop "*.timer) if [ -e "$FAKE/timer" ]; then kill "$(cat "$FAKE/timer")"; rm -f "$FAKE/timer"; fi ;;
  "start "*.service) run "$(sed -n 's/^ExecStart=//p' "$text")" ;;
esac
`;
/** A network with the word "cut" in it is one that SSH does not come through. */
const networkctl = `#!/bin/sh
echo "networkctl $*" >> "$FAKE/told"
if grep -qs refused ${first}; then echo "that is no network" >&2; exit 1; fi
if grep -qs cut ${first}; then touch "$FAKE/cut"; else rm -f "$FAKE/cut"; fi
`;
/** A second in the node's scripts need not be one here. */
const sleep = `#!/bin/sh
if [ "$1" = 1 ]; then exec /bin/sleep 0.1; fi
exec /bin/sleep "$1"
`;
const nmcli = `#!/bin/sh
echo "nmcli $*" >> "$FAKE/told"
`;
const ip = `#!/bin/sh
echo "ip $*" >> "$FAKE/told"
`;

const file = (content: string, mode = 0o644) => ({ content, mode, apply: { action: "none" } }) as const;

class Node {
  private constructor(
    readonly sandbox: Sandbox,
    readonly connection: Connection,
  ) {}

  /** Reached by a way that ends where its network says so. */
  static async start(): Promise<Node> {
    const sandbox = await Sandbox.start({ systemctl, networkctl, nmcli, ip, sleep });
    const connection = await wayTo(sandbox.server.connection(), () => existsSync(sandbox.at("cut")));
    sandbox.write(first.slice(1), works);
    return new Node(sandbox, connection);
  }

  inputs(files: NodeNetworkInputs["files"], changes: Partial<NodeNetworkInputs> = {}): NodeNetworkInputs {
    return { connection: this.connection, service: "systemd-networkd", files, tryoutSeconds: 4, ...changes };
  }

  text(path: string): string | undefined {
    return this.sandbox.read(path.slice(1));
  }

  told(): string {
    return this.sandbox.read("told") ?? "";
  }

  /** Nothing of a change or of its way back may stay. */
  expectNothingLeft(): void {
    expect(existsSync(this.sandbox.at("var/lib/moorage/network"))).toBe(false);
    for (const unit of ["back.service", "back.timer", "change.service"]) {
      expect(this.text(`/etc/systemd/system/moorage-network-${unit}`)).toBeUndefined();
    }
    expect(existsSync(this.sandbox.at("timer"))).toBe(false);
  }
}

describe.skipIf(!canSandbox)("a node's network", () => {
  beforeEach(() => void Object.assign(row, { stoppedBy: undefined, reason: undefined }));

  it("is left alone where it is what the installation made of it", async () => {
    const node = await Node.start();
    const inputs = node.inputs({ [first]: file(works) });
    expect(await nodeNetwork.create(inputs)).toEqual({ id: "swarm-1/network", outs: inputs });
    expect(node.told()).toBe("");
    expect(node.sandbox.told()).toEqual([]);
  });

  it("is changed, and kept once SSH was reached anew", async () => {
    const node = await Node.start();
    const state = (await nodeNetwork.create(node.inputs({ [first]: file(works) }))).outs;
    const logins = node.sandbox.server.logins;
    const files = { [first]: file(`${works}DNS=10.0.2.2\n`), [second]: file("[Match]\n", 0o600) };
    const next = node.inputs(files, { tryoutSeconds: 20 });
    expect(await nodeNetwork.update("", state, next)).toEqual(next);
    expect(node.text(first)).toContain("DNS=10.0.2.2");
    expect(statSync(node.sandbox.at(second.slice(1))).mode & 0o7777).toBe(0o600);
    expect(node.told()).toBe("networkctl reload\n");
    // One to see that it is applied, one to keep it.
    expect(node.sandbox.server.logins - logins).toBeGreaterThanOrEqual(2);
    node.expectNothingLeft();

    await nodeNetwork.update("", next, node.inputs({ [first]: file(works) }, { tryoutSeconds: 20 }));
    expect(node.text(first)).toBe(works);
    expect(node.text(second)).toBeUndefined();
    node.expectNothingLeft();
  }, 60_000);

  it("comes back by itself where SSH does not return, and says what was tried", async () => {
    const node = await Node.start();
    const state = (await nodeNetwork.create(node.inputs({ [first]: file(works) }))).outs;
    const next = node.inputs({ [first]: file("cut\n"), [second]: file("[Match]\n") });
    await expect(nodeNetwork.update("", state, next)).rejects.toThrow(
      new RegExp(
        `^swarm-1: went back by itself to its former network: with the new one, SSH did not return at ` +
          `core@127\\.0\\.0\\.1:\\d+ within 4 s \\(no SSH connection .*\\)\\. Tried: ${first}, ${second}\\. Correct nodes\\.swarm-1`,
      ),
    );
    expect(node.text(first)).toBe(works);
    expect(node.text(second)).toBeUndefined();
    expect(node.told()).toBe("networkctl reload\nnetworkctl reload\n");
    expect(row).toEqual({ stoppedBy: "swarm-1", reason: "went back to its former network" });
    node.expectNothingLeft();
  }, 30_000);

  it("comes back at once where the node's own tools refuse the new one", async () => {
    const node = await Node.start();
    const state = (await nodeNetwork.create(node.inputs({ [first]: file(works) }))).outs;
    const start = Date.now();
    const next = node.inputs({ [first]: file("refused\n") }, { tryoutSeconds: 60 });
    await expect(nodeNetwork.update("", state, next)).rejects.toThrow(
      /went back by itself to its former network: systemd-networkd refused the new one: that is no network/,
    );
    expect(Date.now() - start).toBeLessThan(20_000);
    expect(node.text(first)).toBe(works);
    node.expectNothingLeft();
  }, 30_000);

  it("comes back at the next boot where the power was lost meanwhile", async () => {
    const node = await Node.start();
    const state = (await nodeNetwork.create(node.inputs({ [first]: file(works) }))).outs;
    const next = node.inputs({ [first]: file("cut\n") }, { tryoutSeconds: 600 });
    const update = nodeNetwork.update("", state, next);
    await expect.poll(() => existsSync(node.sandbox.at("cut")), { timeout: 10_000 }).toBe(true);
    // The timer is gone with the power; what is enabled at a boot runs before the network is set up.
    const link = node.sandbox.at("etc/systemd/system/multi-user.target.wants/moorage-network-back.service");
    expect(statSync(link).isFile()).toBe(true);
    await runScript(
      node.sandbox.server.connection(),
      "systemctl stop x.timer; systemctl start moorage-network-back.service",
    );
    await expect(update).rejects.toThrow(/went back by itself/);
    expect(node.text(first)).toBe(works);
    node.expectNothingLeft();
  }, 30_000);

  it("is taken back first where an earlier run was cut off, and then tried", async () => {
    const node = await Node.start();
    const inputs = node.inputs({ [first]: file(`${works}DNS=10.0.2.2\n`) });
    const cutOff = "mkdir -p /var/lib/moorage/network; touch /var/lib/moorage/network/trying";
    await runScript(node.connection, cutOff);
    await nodeNetwork.create(inputs);
    expect(logged.join("\n")).toContain("takes back a change of its network that was cut off");
    expect(node.text(first)).toContain("DNS=10.0.2.2");
    node.expectNothingLeft();
  }, 30_000);

  it("is read back as it is, and a refresh touches nothing", async () => {
    const node = await Node.start();
    const state = (await nodeNetwork.create(node.inputs({ [first]: file(works) }))).outs;
    expect(await nodeNetwork.read("id", state)).toEqual({ id: "id", outs: state });
    node.sandbox.write(first.slice(1), "altered\n");
    const found = await nodeNetwork.read("id", state);
    expect(found?.outs.files[first]?.content).toBe("altered\n");
    expect(nodeNetwork.diff(found?.outs ?? state, state).changedKeys).toEqual(["files"]);
    expect(node.told()).toBe("");
  });

  it("of VLANs is made anew with the link below, as networkd leaves a device as it is", async () => {
    const node = await Node.start();
    const vlan = `/${folder}/00-v7.netdev`;
    node.sandbox.write("run/systemd/netif/links/3", `ADMIN_STATE=configured\nNETWORK_FILE=${first}\n`);
    await nodeNetwork.create(node.inputs({ [first]: file(works), [vlan]: file("[VLAN]\nId=7\n") }));
    expect(node.told()).toBe("ip link delete v7\nnetworkctl reload\nnetworkctl reconfigure 3\n");
  }, 30_000);

  it("of Fedora CoreOS is taken over by NetworkManager, connection by connection", async () => {
    const node = await Node.start();
    const path = (name: string) => `/etc/NetworkManager/system-connections/${name}.nmconnection`;
    const files = {
      [path("moorage")]: file("[ipv4]\nmethod=manual\n", 0o600),
      [path("moorage-eno2")]: file("[ipv4]\nmethod=auto\n", 0o600),
    };
    await nodeNetwork.create(node.inputs(files, { service: "NetworkManager" }));
    expect(node.told()).toBe(
      "nmcli connection reload\nnmcli --wait 15 connection up id moorage\nnmcli --wait 0 connection up id moorage-eno2\n",
    );
  }, 30_000);

  it("of Fedora CoreOS goes back where NetworkManager cannot bring up an address, as the former one would pass for it", async () => {
    const node = await Node.start();
    const path = "/etc/NetworkManager/system-connections/moorage.nmconnection";
    const former = "[ipv4]\nmethod=manual\n";
    node.sandbox.write(path.slice(1), former);
    node.sandbox.tool(
      "nmcli",
      `#!/bin/sh\nif grep -qs eno2 ${path}; then case "$*" in *up*) echo "no carrier" >&2; exit 4 ;; esac; fi\n`,
    );
    const inputs = node.inputs({ [path]: file(`${former}[connection]\ninterface-name=eno2\n`, 0o600) });
    await expect(nodeNetwork.create({ ...inputs, service: "NetworkManager" })).rejects.toThrow(
      /NetworkManager refused the new one: .*no carrier/,
    );
    expect(node.text(path)).toBe(former);
    node.expectNothingLeft();
  }, 30_000);
});

describe("a preview", () => {
  const connection = { node: "a", host: "a", port: 22, user: "core" };
  const inputs = (content: string, changes: Partial<NodeNetworkInputs> = {}): NodeNetworkInputs => ({
    connection,
    service: "systemd-networkd",
    files: { [first]: file(content) },
    tryoutSeconds: 60,
    ...changes,
  });

  it("says what is written, that the node is drained, and that it goes back", () => {
    expect(nodeNetwork.diff(inputs("one"), inputs("two"))).toEqual({
      changes: true,
      changedKeys: ["files"],
      replaces: [],
    });
    expect(logged).toEqual([
      `a: this update changes its network, the node drained meanwhile: writes ${first}; ` +
        "goes back by itself unless SSH returns within 60 s",
    ]);
  });

  it("has nothing to say where only the time or the managers are others", () => {
    const other = { tryoutSeconds: 5, cluster: { managers: [connection] } };
    expect(nodeNetwork.diff(inputs("one"), inputs("one", other)).changes).toBe(false);
    expect(logged).toEqual([]);
  });
});
