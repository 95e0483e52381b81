import { existsSync, statSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { Connection, NodeNetworkInputs } from "../../../hosts/src/contract";
import { nodeNetwork } from "../../../hosts/src/node-network";
import { row } from "../../../hosts/src/swarm/turn";
import { newUpdate } from "../../support/newUpdate";
import { pause } from "../../support/waiting";
import { Sandbox, canSandbox } from "./support/sandbox";
import { hurry, logged } from "./support/stop";
import { wayTo } from "./support/way";

const folder = "etc/systemd/network";
const first = `/${folder}/10-moorage.network`;
const second = `/${folder}/10-eth1.network`;
const works = "[Network]\nAddress=10.0.2.11/24\n";

/** Starts units and timers as systemd does. */
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
/** SSH does not come through a network with the word "cut". */
const networkctl = `#!/bin/sh
echo "networkctl $*" >> "$FAKE/told"
if grep -qs refused ${first}; then echo "that is no network" >&2; exit 1; fi
if grep -qs cut ${first}; then touch "$FAKE/cut"; else rm -f "$FAKE/cut"; fi
`;
/** Seconds that the scripts wait are shorter here. */
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

  static async start(): Promise<Node> {
    const sandbox = await Sandbox.start({ systemctl, networkctl, nmcli, ip, sleep });
    const connection = await wayTo(sandbox.server.connection(), () => existsSync(sandbox.at("cut")));
    sandbox.write(first.slice(1), works);
    return new Node(sandbox, connection);
  }

  inputs(files: NodeNetworkInputs["files"], changes: Partial<NodeNetworkInputs> = {}): NodeNetworkInputs {
    return { connection: this.connection, service: "systemd-networkd", files, tryoutSeconds: 2, ...changes };
  }

  text(path: string): string | undefined {
    return this.sandbox.read(path.slice(1));
  }

  told(): string {
    return this.sandbox.read("told") ?? "";
  }

  /** Nothing of a change or of its rollback stays. */
  expectNothingLeft(): void {
    expect(existsSync(this.sandbox.at("var/lib/moorage/network"))).toBe(false);
    for (const unit of ["back.service", "back.timer", "change.service"]) {
      expect(this.text(`/etc/systemd/system/moorage-network-${unit}`)).toBeUndefined();
    }
    expect(existsSync(this.sandbox.at("timer"))).toBe(false);
  }
}

describe.skipIf(!canSandbox)("a node's network", () => {
  beforeEach(newUpdate);

  it("is left alone where it is right, and drift is seen", async () => {
    const node = await Node.start();
    const inputs = node.inputs({ [first]: file(works) });
    expect(await nodeNetwork.create(inputs)).toEqual({ id: "swarm-1/network", outs: inputs });
    expect(await nodeNetwork.read("id", inputs)).toEqual({ id: "id", outs: inputs });
    node.sandbox.write(first.slice(1), "altered\n");
    const found = await nodeNetwork.read("id", inputs);
    expect(found?.outs.files[first]?.content).toBe("altered\n");
    expect(nodeNetwork.diff(found?.outs ?? inputs, inputs).changedKeys).toEqual(["files"]);
    expect(node.told()).toBe("");
    expect(node.sandbox.told()).toEqual([]);
  });

  it("is changed, and kept once SSH was reached again", async () => {
    const node = await Node.start();
    const state = node.inputs({ [first]: file(works) });
    const { logins } = node.sandbox.server;
    const vlan = `/${folder}/00-v7.netdev`;
    node.sandbox.write("run/systemd/netif/links/3", `ADMIN_STATE=configured\nNETWORK_FILE=${first}\n`);
    const files = { [first]: file(`${works}DNS=10.0.2.2\n`), [vlan]: file("[VLAN]\nId=7\n", 0o600) };
    const next = node.inputs(files, { tryoutSeconds: 600 });
    hurry(() => pause(20));
    expect(await nodeNetwork.update("", state, next)).toEqual(next);
    expect(node.text(first)).toContain("DNS=10.0.2.2");
    expect(statSync(node.sandbox.at(vlan.slice(1))).mode & 0o7777).toBe(0o600);
    // networkd does not change a device that exists: it is created again, on its link.
    expect(node.told()).toBe("ip link delete v7\nnetworkctl reload\nnetworkctl reconfigure 3\n");
    expect(node.sandbox.server.logins).toBeGreaterThan(logins + 1);
    node.expectNothingLeft();
  });

  it("is restored by the node itself if SSH does not return", async () => {
    const node = await Node.start();
    const state = node.inputs({ [first]: file(works) });
    const next = node.inputs({ [first]: file("cut\n"), [second]: file("[Match]\n") });
    await expect(nodeNetwork.update("", state, next)).rejects.toThrow(
      new RegExp(
        `^swarm-1: went back by itself to its former network: with the new one, SSH did not return at ` +
          `core@127\\.0\\.0\\.1:\\d+ within 2 s( \\(no SSH connection .*\\))?\\. Tried: ${first}, ${second}\\. Correct nodes\\.swarm-1`,
      ),
    );
    expect(node.text(first)).toBe(works);
    expect(node.text(second)).toBeUndefined();
    expect(node.told()).toBe("networkctl reload\nnetworkctl reload\n");
    expect(row).toEqual({ stoppedBy: "swarm-1", reason: "went back to its former network" });
    node.expectNothingLeft();
  });

  it("is restored at once if its own tools refuse the new one", async () => {
    const node = await Node.start();
    const next = node.inputs({ [first]: file("refused\n") }, { tryoutSeconds: 600 });
    hurry(() => pause(20));
    await expect(nodeNetwork.update("", node.inputs({ [first]: file(works) }), next)).rejects.toThrow(
      /went back by itself to its former network: systemd-networkd refused the new one: that is no network/,
    );
    expect(node.text(first)).toBe(works);
    node.expectNothingLeft();
  });

  it("is NetworkManager's on Fedora CoreOS", async () => {
    const node = await Node.start();
    const path = (name: string) => `/etc/NetworkManager/system-connections/${name}.nmconnection`;
    const files = {
      [path("moorage")]: file("[ipv4]\nmethod=manual\n", 0o600),
      [path("moorage-eno2")]: file("[ipv4]\nmethod=auto\n", 0o600),
    };
    hurry(() => pause(20));
    await nodeNetwork.create(node.inputs(files, { service: "NetworkManager", tryoutSeconds: 600 }));
    expect(node.told()).toBe(
      "nmcli connection reload\nnmcli --wait 15 connection up id moorage\nnmcli --wait 0 connection up id moorage-eno2\n",
    );
  });
});

it("a preview of a node's network shows what is written, and the rollback", () => {
  const connection = { node: "a", host: "a", port: 22, user: "core" };
  const inputs = (content: string, changes: Partial<NodeNetworkInputs> = {}): NodeNetworkInputs => ({
    connection,
    service: "systemd-networkd",
    files: { [first]: file(content) },
    tryoutSeconds: 60,
    ...changes,
  });
  const changed = { changes: true, changedKeys: ["files"], replaces: [] };
  expect(nodeNetwork.diff(inputs("one"), inputs("two"))).toEqual(changed);
  const planned =
    `a: this update changes its network, the node drained meanwhile: writes ${first}; ` +
    "goes back by itself unless SSH returns within 60 s";
  expect(logged).toEqual([planned]);
  const other = { tryoutSeconds: 5, cluster: { managers: [connection] } };
  expect(nodeNetwork.diff(inputs("one"), inputs("one", other)).changes).toBe(false);
  expect(logged).toEqual([planned]);
});
