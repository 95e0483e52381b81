import {
  computeNoProxy,
  keepalivedFiles,
  nodeBaseFiles,
  proxiesFiles,
  renderUnit,
  renderUserData,
  unitArgument,
  unitEnvironment,
} from "@moorage/render";
import type { NodeBaseArgs, UserDataFormat, UserDataModel } from "@moorage/render";
import { describe, expect, it } from "vitest";
import { flatcar } from "../../golden/models";

const base: NodeBaseArgs = {
  docker: {},
  registryNames: ["10.0.2.10"],
  caCertificate: "ca",
  noProxy: ["localhost", "10.0.2.10"],
};
const apiTls = { ca: "ca", cert: "cert", key: "key" };

describe("a node's files", () => {
  it("leave Docker's API on the local socket unless it is asked for", () => {
    const { files, units } = nodeBaseFiles(base);
    expect(JSON.stringify({ files, units })).not.toMatch(/2376|2375|tls/);
    expect(units["docker.service"]).toEqual({ enabled: true });
  });

  it("keep the API's key to root, and restart Docker for a changed one", () => {
    const { files } = nodeBaseFiles({ ...base, docker: { apiTls } });
    expect(files["/etc/docker/tls/key.pem"]).toMatchObject({
      mode: 0o600,
      apply: { action: "restart", unit: "docker.service" },
    });
    const daemon = JSON.parse(files["/etc/docker/daemon.json"]?.content ?? "") as Record<string, unknown>;
    expect(daemon).toMatchObject({ tlsverify: true, "no-new-privileges": true });
    expect(daemon).not.toHaveProperty("hosts");
  });

  it("share Docker's settings with the owner of a host that ran before, but for one that excludes Swarm", () => {
    const daemonOf = (args: NodeBaseArgs) => nodeBaseFiles(args).files["/etc/docker/daemon.json"];
    expect(daemonOf(base)).toMatchObject({ shared: true });
    expect(JSON.parse(daemonOf(base)?.content ?? "")).toMatchObject({ "live-restore": false });
    const installed = daemonOf({ ...base, distribution: "flatcar" });
    expect(installed).not.toHaveProperty("shared");
    expect(JSON.parse(installed?.content ?? "")).not.toHaveProperty("live-restore");
  });

  it("name the slice as the cgroup driver wants it", () => {
    const parent = (cgroupDriver?: "systemd" | "cgroupfs"): unknown => {
      const { files } = nodeBaseFiles({ ...base, docker: { cgroupDriver }, limits: { tasksMax: 100 } });
      return (JSON.parse(files["/etc/docker/daemon.json"]?.content ?? "") as Record<string, unknown>)[
        "cgroup-parent"
      ];
    };
    expect(parent()).toBe("moorage.slice");
    expect(parent("cgroupfs")).toBe("/moorage.slice");
  });

  it("let Docker read a changed CA without any restart", () => {
    expect(nodeBaseFiles(base).files["/etc/docker/certs.d/10.0.2.10/ca.crt"]?.apply).toEqual({
      action: "none",
    });
  });

  it("leave /etc/environment to the owner of a host that ran before", () => {
    const proxies = { http: "http://proxy:3128", exclude: [] };
    expect(nodeBaseFiles({ ...base, proxies }).files).not.toHaveProperty("/etc/environment");
    const own = nodeBaseFiles({ ...base, proxies, distribution: "flatcar" });
    expect(own.files["/etc/environment"]?.content).toContain("no_proxy=localhost,10.0.2.10\n");
    expect(own.units["docker.service"]?.dropIns?.["10-moorage-proxy.conf"]).toContain(
      '"HTTP_PROXY=http://proxy:3128"',
    );
  });

  it("have Docker read /etc/environment anew where its unit reads the file itself", () => {
    const proxies = { http: "http://proxy:3128", exclude: [] };
    const applied = (distribution: "flatcar" | "coreos") =>
      nodeBaseFiles({ ...base, proxies, distribution }).files["/etc/environment"]?.apply;
    expect(applied("flatcar")).toEqual({ action: "none" });
    expect(applied("coreos")).toEqual({ action: "restart", unit: "docker.service" });
    const old = nodeBaseFiles({ ...base, proxies, distribution: "coreos" }).units["docker.service"];
    expect(old?.dropIns).toMatchObject({ "environment.conf": expect.stringContaining("/etc/environment") });
  });

  it("say nothing of proxies where there are none", () => {
    expect(JSON.stringify(nodeBaseFiles({ ...base, distribution: "flatcar" }))).not.toMatch(/proxy/i);
  });

  it("set the clock's servers in what the distribution has for it", () => {
    const paths = (distribution: "flatcar" | "fedora-coreos"): string[] =>
      Object.keys(nodeBaseFiles({ ...base, distribution, ntp: ["time.example.com"] }).files);
    expect(paths("flatcar")).toContain("/etc/systemd/timesyncd.conf.d/10-moorage.conf");
    expect(paths("fedora-coreos")).toContain("/etc/chrony.conf");
  });

  it("hold no command line with a secret", () => {
    const text = JSON.stringify(
      nodeBaseFiles({ ...base, docker: { apiTls: { ...apiTls, key: "planted" } } }).units,
    );
    expect(text).not.toContain("planted");
  });
});

describe("no_proxy", () => {
  it("has loopback, nodes by all addresses and by both names, domain, VIP, services and subnets", () => {
    const list = computeNoProxy({
      nodes: [{ name: "coreos1", addresses: ["10.0.2.11", "10.30.0.11", "10.0.2.11"] }],
      domains: ["example.com"],
      vip: "10.0.2.10",
      serviceNames: ["registry.example.com:443", "[fd00::1]:9000"],
      subnets: ["10.0.2.0/24"],
      exclude: ["mirror"],
    });
    expect(list).toEqual([
      "localhost",
      "127.0.0.1",
      "127.0.0.0/8",
      "::1",
      "10.0.2.11",
      "10.30.0.11",
      "coreos1",
      "coreos1.example.com",
      ".example.com",
      "10.0.2.10",
      "registry.example.com",
      "[fd00::1]",
      "10.0.2.0/24",
      "mirror",
    ]);
  });
});

describe("units", () => {
  it("leave out what is not given and repeat lists", () => {
    const text = renderUnit({
      Unit: { After: undefined },
      Service: { Environment: ["A=1", "B=2"], PrivateTmp: true },
    });
    expect(text).toBe("[Unit]\n\n[Service]\nEnvironment=A=1\nEnvironment=B=2\nPrivateTmp=yes\n");
  });

  it("refuse a value that would begin a directive of its own", () => {
    expect(() => renderUnit({ Service: { ExecStart: "true\nExecStartPre=false" } })).toThrow("line break");
  });

  it("take percent and dollar signs literally", () => {
    expect(unitArgument("100%")).toBe("100%%");
    expect(unitArgument("$HOME")).toBe("$$HOME");
    expect(unitArgument('a "b"')).toBe('"a \\"b\\""');
    expect(unitEnvironment("A", "p%40$x")).toBe('"A=p%%40$x"');
  });
});

describe("what cannot be rendered", () => {
  it("is refused with the reason", () => {
    const rendered = (change: Partial<UserDataModel>, format: UserDataFormat) => () =>
      renderUserData({ ...flatcar, ...change }, { format, installHash: "" });
    expect(rendered({ distribution: "coreos" }, "ignition")).toThrow("give it a cloud-config");
    expect(rendered({ distribution: "fedora-coreos" }, "cloud-config")).toThrow("give it Ignition");
    expect(rendered({ distribution: "fedora-coreos", updateStrategy: "etcd-lock" }, "ignition")).toThrow(
      "coreos1: Fedora CoreOS has no update strategy etcd-lock",
    );
    expect(rendered({ containerLinux: {} }, "ignition")).toThrow("for distribution coreos alone");
  });

  it("is a name that could end its directive", () => {
    const bad = "registry; } evil {";
    const haproxy = { service: "haproxy", registries: ["good"], minio: ["good"] };
    const proxies = (change: object) => () =>
      proxiesFiles({ haproxy: { ...haproxy, ...change }, passwordGraceMinutes: 1 });
    expect(proxies({})).not.toThrow();
    for (const change of [{ registries: [bad] }, { minio: [bad] }, { service: bad }])
      expect(proxies(change)).toThrow("characters");
    expect(() =>
      keepalivedFiles({
        node: "a",
        image: "i",
        interface: "eth0 }",
        address: "10.0.2.11",
        vip: "10.0.2.10",
        peers: [],
        priority: 1,
        virtualRouterId: 1,
      }),
    ).toThrow("characters");
  });
});
