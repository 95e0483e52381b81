/** That what a host is compared with, on the lab, is the model, and that what it has otherwise is seen. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { UserDataFormat, UserDataModel } from "@moorage/render";
import { describe, expect, it } from "vitest";
import { everythingConfig, wholeModel, wholeUserData } from "../../golden/everything";
import { differences, type AsRoot } from "../../support/appliedHost";
import { networkDifferences } from "../../support/appliedNetwork";
import { appliedCloudConfig, appliedIgnition, type Applied } from "../../support/userData";
import { wantedOf } from "../../support/wanted";
import { temporaryFolder } from "../hosts/support/stop";

describe("what a node's user data is to come to", () => {
  const readers = { ignition: appliedIgnition, "cloud-config": appliedCloudConfig };

  /** Members by files are members. */
  function folded({ users, files, ...rest }: Applied): Applied {
    const members = (name: string) =>
      Object.keys(files).flatMap(
        (file) => new RegExp(`^/etc/userdb/${name}:(.+)\\.membership$`).exec(file)?.[1] ?? [],
      );
    const all = Object.entries(users).map(([name, user]) => [
      name,
      { ...user, groups: [...new Set([...user.groups, ...members(name)])].sort() },
    ]);
    return { ...rest, files, users: Object.fromEntries(all) as Applied["users"] };
  }

  it.each(["ignition", "cloud-config"] as const)(
    "is what its %s says, though nobody has read that",
    (format: UserDataFormat) => {
      const raw = everythingConfig("flatcar");
      Object.assign(raw.os ?? {}, { format });
      const { model, args } = wholeModel(raw, format);
      const read = readers[format](wholeUserData(raw, format));
      expect(folded(wantedOf(model, args))).toEqual(folded(read));
      expect(Object.keys(read.files).length).toBeGreaterThan(20);
    },
  );
});

describe("units of a host", () => {
  const wanted: Applied = {
    hostname: "a",
    users: {},
    files: {},
    units: Object.fromEntries(
      [true, false].flatMap((enabled) =>
        ["running", "waiting", "static", "left", "failed", "gone"].map((state) => [
          `${state}-${enabled}.service`,
          { enabled, dropIns: {} },
        ]),
      ),
    ),
  };
  const states = `#!/bin/sh
case "$1 $2" in
  "is-enabled running"*|"is-enabled left"*) echo enabled ;; "is-enabled static"*) echo static ;;
  "is-enabled gone"*) exit 4 ;; is-enabled*) echo disabled ;;
  "is-active running"*) echo active ;; "is-active failed"*) echo failed ;; is-active*) echo inactive ;;
  show*) echo no ;;
esac
`;

  it("are seen that are on or off and are not to be", async () => {
    const folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, "systemctl"), states, { mode: 0o755 });
    fs.writeFileSync(path.join(folder, "cat"), "#!/bin/sh\necho a\n", { mode: 0o755 });
    const env = { PATH: `${folder}:${process.env.PATH ?? ""}` };
    const asRoot: AsRoot = (line) =>
      Promise.resolve(execFileSync("sh", ["-c", line], { env, encoding: "utf8" }));
    const off = (state: string, found: string) =>
      `unit ${state}-false.service: ${found}, wanted disabled inactive`;
    const on = (state: string, found: string) =>
      `unit ${state}-true.service: ${found}, wanted enabled active`;
    expect(await differences(wanted, asRoot)).toEqual(
      [
        off("failed", "disabled failed"),
        on("failed", "disabled failed"),
        on("gone", "disabled inactive"),
        off("left", "enabled inactive"),
        on("left", "enabled inactive"),
        off("running", "enabled active"),
        on("static", "disabled inactive"),
        on("waiting", "disabled inactive"),
      ].sort(),
    );
  });
});

describe("the network of a host", () => {
  const network = {
    match: "eth0",
    address: "10.0.2.11",
    prefixLength: 24,
    gateway: "10.0.2.1",
    dns: [],
    domains: [],
    mtu: 1500,
  };
  const nics = [{ match: "08:00:27:AA:BB:02", address: "10.40.0.11/24", gateway: "10.40.0.1", metric: 500 }];
  const vlans = [{ name: "v7", id: 7, address: "10.30.0.11/24", mtu: 1400 }];
  const model: Pick<UserDataModel, "network" | "nics" | "vlans"> = { network, nics, vlans };
  const inet = (local: string, prefixlen = 24) => ({ family: "inet", local, prefixlen });
  const links = () => [
    { ifname: "lo", mtu: 65536, addr_info: [inet("127.0.0.1", 8)] },
    {
      ifname: "eth0",
      mtu: 1500,
      address: "08:00:27:aa:bb:01",
      addr_info: [inet("10.0.2.11"), inet("10.0.2.10", 32)],
    },
    {
      ifname: "eth1",
      mtu: 9000,
      address: "08:00:27:aa:bb:02",
      addr_info: [inet("10.40.0.11"), { family: "inet6", local: "fe80::1", prefixlen: 64 }],
    },
    {
      ifname: "v7",
      link: "eth0",
      mtu: 1400,
      address: "08:00:27:aa:bb:01",
      linkinfo: { info_kind: "vlan", info_data: { protocol: "802.1Q", id: 7 } },
      addr_info: [inet("10.30.0.11")],
    },
  ];
  const routes = () => [
    { dst: "default", gateway: "10.0.2.1", dev: "eth0", protocol: "static", flags: [] },
    { dst: "default", gateway: "10.40.0.1", dev: "eth1", protocol: "static", metric: 500, flags: [] },
  ];
  interface Ip {
    links: ReturnType<typeof links>;
    routes: ReturnType<typeof routes>;
  }
  const found = (change: (ip: Ip) => void = () => undefined) => {
    const ip = { links: links(), routes: routes() };
    change(ip);
    const text = `${JSON.stringify(ip.links)}\n\n=====\n${JSON.stringify(ip.routes)}\n`;
    return networkDifferences(model, () => Promise.resolve(text));
  };
  const at = (ip: Ip, name: string) =>
    ip.links.find(({ ifname }) => ifname === name) as Record<string, unknown>;

  it("is the model's, with the registry's address beside its own", async () => {
    expect(await found()).toEqual([]);
  });

  it.each<[string, (ip: Ip) => unknown, string[]]>([
    [
      "an address",
      (ip) => (at(ip, "eth0").addr_info = [inet("10.0.2.12")]),
      ["eth0: has 10.0.2.12/24, wanted 10.0.2.11/24"],
    ],
    [
      "its prefix",
      (ip) => (at(ip, "eth1").addr_info = [inet("10.40.0.11", 16)]),
      ["08:00:27:AA:BB:02: has 10.40.0.11/16, wanted 10.40.0.11/24"],
    ],
    ["an MTU", (ip) => (at(ip, "v7").mtu = 1500), ["v7: MTU 1500, wanted 1400"]],
    [
      "a VLAN's id",
      (ip) => (at(ip, "v7").linkinfo = { info_kind: "vlan", info_data: { id: 8 } }),
      ["v7: VLAN 8 on eth0, wanted VLAN 7 on eth0"],
    ],
    ["a VLAN's parent", (ip) => (at(ip, "v7").link = "eth1"), ["v7: VLAN 7 on eth1, wanted VLAN 7 on eth0"]],
    [
      "another kind of device",
      (ip) => (at(ip, "v7").linkinfo = { info_kind: "veth" }),
      ["v7: no VLAN, wanted VLAN 7 on eth0"],
    ],
    ["no device", (ip) => ip.links.splice(3, 1), ["v7: there is no such interface"]],
    ["no route", (ip) => ip.routes.splice(0, 1), ["no default route by 10.0.2.1 on eth0, metric 0"]],
    [
      "a metric",
      (ip) => (ip.routes[1] = { ...routes()[1], metric: 5 } as never),
      [
        "default route by 10.40.0.1 on eth1, metric 5, not wanted",
        "no default route by 10.40.0.1 on eth1, metric 500",
      ],
    ],
  ])("is seen to differ in %s", async (_what, change, expected) => {
    expect(await found((ip) => void change(ip))).toEqual(expected);
  });
});
