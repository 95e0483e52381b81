/** Pulumi.virtualbox.yaml reads as the article's modern edition: what was there is there, and what is ours is marked. */
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { formatOf } from "../../config/os";
import { parseStackConfig } from "../../config/stack";
import { project, rawStack } from "../support/stacks";
import { appliedCloudConfig, appliedIgnition } from "../support/userData";
import { articleConfig, wholeUserData } from "./everything";

const text = fs.readFileSync(path.join(project, "Pulumi.virtualbox.yaml"), "utf8");
const [stack, article] = [parseStackConfig(rawStack("virtualbox")), parseStackConfig(articleConfig())];
const node = appliedIgnition(wholeUserData(rawStack("virtualbox"), "ignition"));
const before = appliedCloudConfig(wholeUserData(articleConfig(), "cloud-config"));

describe("the article's stack as it is today", () => {
  it("has its nodes, ports and labels, and a fourth node that is marked as ours", () => {
    const nodes = Object.entries(stack.nodes);
    expect(nodes.map(([name, { ssh }]) => [name, ssh.port])).toEqual([
      ["coreos1", 2011],
      ["coreos2", 2012],
      ["coreos3", 2013],
      ["coreos4", 2014],
    ]);
    for (const [name, { address, labels, interface: card, roles }] of nodes) {
      expect(labels).toEqual({ region: "dc1", public_ip: address });
      expect(card).toBe("enp0s3");
      expect(roles).toContain(name === "coreos4" ? "worker" : "manager");
    }
    expect(text).toMatch(/^ {4}coreos4:\n {6}# Ours: /m);
    expect(text).toMatch(/^# .*; coreos4, all addresses, the name servers and the forward to the registry are ours\.$/m);
  });

  it("is a guest of 2048 MB in a NAT network without DHCP, of the alpha channel, with etcd", () => {
    expect(stack).toMatchObject({
      platform: "virtualbox",
      hypervisor: { memory: 2048, network: { dhcp: false } },
      os: { distribution: "flatcar", channel: "alpha" },
      etcd: { enabled: true },
    });
    expect(formatOf(stack.os)).toBe("ignition");
  });

  it("has every setting of the operating system that the article has", () => {
    for (const key of ["motd", "ntp", "clockTimer", "aliases", "timeZone"] as const) {
      expect(stack.os[key], key).toEqual(article.os[key]);
    }
    const { insecureMd5Password, ...usera } = article.os.users.usera ?? expect.unreachable();
    expect(insecureMd5Password).toBe(true);
    expect(stack.os.users).toEqual({ usera: { ...usera, insecureMd5Password: false } });
    for (const key of ["subnet", "gateway", "domain"] as const) {
      expect(stack.network[key], key).toBe(article.network[key]);
    }
    expect(stack.network.dns).toHaveLength(article.network.dns.length);
  });

  it("has its VLANs on the first node, and on the others the same with addresses of their own", () => {
    expect(stack.nodes.coreos1?.vlans).toEqual(article.nodes.coreos1?.vlans);
    const without = (vlans = {}) =>
      Object.entries(vlans as Record<string, { address: string }>).map(([name, { address, ...rest }]) => [
        name,
        address.replace(/\.\d+\/24$/, ""),
        rest,
      ]);
    for (const name of ["coreos2", "coreos3"]) {
      expect(without(stack.nodes[name]?.vlans)).toEqual(without(article.nodes.coreos1?.vlans));
    }
    // In a comment there as well.
    expect(text).toMatch(/^ +# nics: \{ eno2: \{ dhcp: true, mtu: 9000, /m);
  });

  it("comes to the same files on the first node, but for what has a successor", () => {
    const network = ({ files }: typeof node) =>
      Object.entries(files)
        .filter(([file]) => file.startsWith("/etc/systemd/network/"))
        .map(([file, { content }]) => [file, content.replace(/^DNS=.*\n/gm, "")])
        .sort();
    expect(network(node)).toEqual(network(before));
    expect(network(node).length).toBeGreaterThan(6);
    for (const file of ["/etc/motd", "/etc/profile.d/aliases.sh"]) {
      expect(node.files[file], file).toEqual(before.files[file]);
    }
    expect(node.files["/etc/systemd/timesyncd.conf.d/10-moorage.conf"]?.content).toContain("NTP=time.domain.com");
    expect(node.units["date.timer"]).toMatchObject({
      enabled: true,
      content: before.units["date.timer"]?.content,
    });
    expect(node.timeZone).toBe("America/New_York");
    expect(node.files["/etc/environment"]?.content).toContain("COREOS_PRIVATE_IPV4=10.0.2.11");
  });

  it("has Docker's API on, with mutual TLS in place of none", () => {
    expect(before.units["docker-tcp.socket"]?.content).toContain("ListenStream=2375");
    expect(JSON.stringify(node)).not.toContain("2375");
    expect(node.units["docker-tls-tcp.socket"]?.content).toContain("ListenStream=2376");
    // It comes up with Docker.
    expect(node.units["docker.service"]?.dropIns["20-moorage-api.conf"]).toContain("Wants=docker-tls-tcp.socket");
    expect(JSON.parse(node.files["/etc/docker/daemon.json"]?.content ?? "")).toMatchObject({ tlsverify: true });
  });
});
