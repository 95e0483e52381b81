import { describe, expect, it } from "vitest";
import type { InstallationInputs, InstallationOutputs } from "../../../hosts/src/contract";
import { installation } from "../../../hosts/src/installation";
import { isInstalledAnew } from "../../../hosts/src/installed-anew";
import { logged } from "./support/stop";

const former = "#cloud-config\n";

describe("another cloud-config", () => {
  const target = { node: "swarm-1", host: "10.0.2.11", port: 22, user: "core" };
  const inputs: InstallationInputs = {
    ...{ node: "swarm-1", installer: target, target, userData: former, format: "cloud-config" },
    ...{ installHash: "hash-1", disk: "/dev/sda", timeoutSeconds: 40, tryoutSeconds: 30 },
  };
  const state: InstallationOutputs = { ...inputs, firstBootId: "installed" };
  const at = (host: string, ...addresses: string[]) => ({
    target: { ...target, host },
    userData: `#cloud-config\ncoreos:\n  units:\n    - name: first.network\n      content: |\n${addresses.map((each) => `        Address=${each}/24\n`).join("")}`,
  });
  const guest = (address?: string) => {
    const to = { listen: "127.0.0.1", port: 2011, address: address ?? "", targetPort: 22 };
    const forward = { network: "n", name: "f", to };
    const again = { stack: "s", iso: "i", installerUserData: "u", systemDisk: 1, forward };
    return { guest: { hypervisor: {}, name: "swarm-1", id: "1", ...(address && { again }) } };
  };
  const [first, other] = ["10.0.2.11", "10.0.2.21"];
  const both = [first, "10.30.0.11"];

  it.each<[string, object, object, "reboot" | "reinstallation"]>([
    ["of a guest at the same address", guest(first), guest(first), "reboot"],
    ["of a guest at another address", guest(first), guest(other), "reinstallation"],
    ["of an older stack's guest", { ...at(first, first), ...guest() }, guest(first), "reboot"],
    [
      "of such a guest at another address",
      { ...at(first, first), ...guest() },
      guest("10.0.2.1"),
      "reinstallation",
    ],
    ["at another address that SSH goes to", at(first, first), at(other, other), "reinstallation"],
    ["at one that the former contains", at(first, first), at("10.0.2.1", "10.0.2.1"), "reinstallation"],
    ["at another address, reached by a forward", at("127.0.0.1", first), at("127.0.0.1", other), "reboot"],
    [
      "at another address, reached by name before",
      at("rack.domain.com", first),
      at(other, other),
      "reinstallation",
    ],
    ["reached in another way", at("rack.domain.com", first), at(first, first), "reboot"],
    ["reached at its other address", at(first, ...both), at("10.30.0.11", ...both), "reboot"],
  ])("%s", (_what, from, to, means) => {
    const diff = installation.diff({ ...state, ...from }, { ...inputs, installHash: "hash-2", ...to });
    expect(diff).toMatchObject({ changes: true, replaces: [] });
    expect(logged.at(-1)).toMatch(
      means === "reboot" ? /this update writes its user data anew/ : /this update reinstalls the node/,
    );
    expect(isInstalledAnew("swarm-1")).toBe(means === "reinstallation");
  });

  it("is announced with what stays behind; another trial time alone changes nothing", () => {
    const users = `users:\n  - name: "usera"\n  - name: "userb"\n`;
    const groups = `users:\n  - name: "userb"\n    groups: ["docker"]\n`;
    const [from, to] = [former + users, former + groups];
    installation.diff({ ...state, userData: from }, { ...inputs, userData: to, installHash: "hash-2" });
    expect(logged.join("\n")).toContain(
      "swarm-1: this update writes its user data anew and reboots the node, drained meanwhile; goes back by itself unless " +
        "SSH returns within 30 s of its boot; left behind: user usera; stay as they are: groups of user userb; other: ",
    );
    expect(installation.diff(state, { ...inputs, tryoutSeconds: 90 }).changes).toBe(false);
  });
});
