import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  faultsOf,
  nodeBaseFiles,
  renderNetwork,
  renderUserData,
  type DescribedUnit,
  type Distribution,
  type NodeDescription,
  type NodeFiles,
  type UserDataModel,
} from "@moorage/render";
import { describe, expect, it } from "vitest";
import { fedora, flatcar } from "../../golden/models";
import { appliedCloudConfig, appliedIgnition, parsedCloudConfig } from "../../support/userData";

const args = { format: "ignition", installHash: "x" } as const;

describe("a user's groups", () => {
  const membership = (distribution: Distribution, groups: string[]) => {
    const users = [{ name: "usera", groups, sshAuthorizedKeys: [] }];
    const base = distribution === "fedora-coreos" ? fedora : flatcar;
    const model: UserDataModel = { ...base, distribution, users };
    const applied =
      distribution === "coreos"
        ? appliedCloudConfig(renderUserData(model, { ...args, format: "cloud-config" }))
        : appliedIgnition(renderUserData(model, args));
    const files = Object.keys(applied.files).filter((one) => one.startsWith("/etc/userdb/"));
    for (const file of files) expect(applied.files[file]?.content.length, file).toBeGreaterThan(0);
    return [applied.users.usera?.groups, files];
  };

  it("are set by the distribution's tools where those can, else by a file that nss-systemd reads", () => {
    expect(membership("flatcar", ["sudo", "docker", "kvm"])).toEqual([
      ["sudo", "docker"],
      ["/etc/userdb/usera:kvm.membership"],
    ]);
    expect(membership("fedora-coreos", ["adm", "dialout"])).toEqual([
      ["adm"],
      ["/etc/userdb/usera:dialout.membership"],
    ]);
    // It knows no such files.
    expect(membership("coreos", ["sudo", "kvm"])).toEqual([["sudo", "kvm"], []]);
  });
});

describe("an interface by its MAC address", () => {
  const match = "08:00:27:AA:BB:01";
  const vlans = [{ name: "v7", id: 7, address: "10.30.0.11/24" }];
  const nics = [{ match: "08:00:27:aa:bb:02" }];
  /** Its networks in networkd's order, with what each asks for. */
  const asked = (distribution: "flatcar" | "coreos", network = flatcar.network) => {
    const { files } = renderNetwork({ distribution, network, vlans, nics });
    return Object.keys(files)
      .filter((path) => path.endsWith(".network"))
      .sort()
      .map((path) => [
        path.replace("/etc/systemd/network/", ""),
        /^\[Match\]\n([^]*?)\n\n/.exec(files[path]?.content ?? "")?.[1],
      ]);
  };

  it("is no VLAN of it, which has the same: by its type, or where networkd knows none, by order", () => {
    expect(asked("flatcar", { ...flatcar.network, match })).toEqual([
      ["10-080027aabb02.network", "MACAddress=08:00:27:aa:bb:02\nType=ether"],
      ["10-moorage.network", "MACAddress=08:00:27:aa:bb:01\nType=ether"],
      ["11-v7.network", "Name=v7"],
    ]);
    expect(asked("coreos", { ...flatcar.network, match })).toEqual([
      ["00-v7.network", "Name=v7"],
      ["10-080027aabb02.network", "MACAddress=08:00:27:aa:bb:02"],
      ["10-moorage.network", "MACAddress=08:00:27:aa:bb:01"],
    ]);
    expect(asked("coreos").map(([name]) => name)).toEqual([
      "10-080027aabb02.network",
      "10-moorage.network",
      "11-v7.network",
    ]);
  });
});

describe("the rules for what validators miss", () => {
  const node: NodeDescription = {
    hostname: "coreos1",
    distribution: "flatcar",
    users: [],
    files: [],
    units: [],
    updateStrategy: "off",
  };
  const said = (change: Partial<NodeDescription>) =>
    faultsOf({ ...node, ...change }).map(({ item, fault, remedy }) => `${item}: ${fault}; ${remedy}`);
  const unit = (name: string, rest: Partial<DescribedUnit> = {}): DescribedUnit => ({
    name,
    dropIns: [],
    ...rest,
  });
  const file = (at: string, mode = 0o644) => ({ path: at, mode, content: "" });

  const units: [string, DescribedUnit, string | undefined][] = [
    ["a proper service", unit("a.service", { content: "[Service]\n" }), undefined],
    ["an instance of a template", unit("a@b.service"), undefined],
    [
      "a .conf",
      unit("60-a.conf", { content: "[Unit]\n" }),
      "give it as a drop-in of the unit that it is meant for",
    ],
    ["no suffix", unit("a"), "end it in .service, .timer, .socket or another unit's suffix"],
    ["no name", unit(""), "name it, with a suffix such as .service"],
    [
      "a timer that nothing starts",
      unit("a.timer", { content: "[Timer]\n" }),
      "add [Install] with WantedBy=timers.target",
    ],
    ["a timer", unit("a.timer", { content: "[Timer]\n\n[Install]\nWantedBy=timers.target\n" }), undefined],
    [
      "enabled to nowhere",
      unit("a.service", { content: "[Service]\n", enabled: true }),
      "add [Install] with WantedBy=multi-user.target",
    ],
    ["enabled, and the distribution's", unit("docker.service", { enabled: true }), undefined],
    [
      "a drop-in without .conf",
      unit("a.service", { dropIns: [{ name: "own", content: "" }] }),
      "call it own.conf",
    ],
  ];
  it.each(units)("a unit: %s", (_name, one, remedy) => {
    const found = said({ units: [one] });
    if (remedy === undefined) expect(found).toEqual([]);
    else {
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(new RegExp(`^unit ${one.name || '""'}.*; `));
      expect(found[0]?.endsWith(`; ${remedy}`)).toBe(true);
    }
  });

  const files: [string, ReturnType<typeof file>, string | undefined][] = [
    ["a proper file", file("/etc/a"), undefined],
    ["a relative path", file("etc/a"), "write /etc/a"],
    ["a path with dots", file("/etc/../a"), "write it out"],
    ["a folder", file("/etc/a/"), "write it out"],
    ["the read-only /usr", file("/usr/local/bin/a"), "put it below /etc, /opt or /var"],
    ["decimal 644", file("/etc/a", 644), 'if 644 was meant as octal digits, write 0o644 or "0644"'],
    ["decimal 755", file("/etc/a", 755), 'if 755 was meant as octal digits, write 0o755 or "0755"'],
    ["decimal 600", file("/etc/a", 600), 'if 600 was meant as octal digits, write 0o600 or "0600"'],
    ["a mode that is none", file("/etc/a", Number.NaN), "give permission bits such as 0o644"],
    ["setuid", file("/etc/a", 0o4755), "leave out setuid, setgid and the sticky bit"],
  ];
  it.each(files)("a file: %s", (_name, one, remedy) => {
    const found = said({ files: [one] });
    if (remedy === undefined) expect(found).toEqual([]);
    else {
      expect(found).toHaveLength(1);
      expect(found[0]?.startsWith(`file ${one.path}: `)).toBe(true);
      expect(found[0]?.endsWith(`; ${remedy}`)).toBe(true);
    }
  });

  it("let Fedora CoreOS have its /usr/local", () => {
    expect(said({ distribution: "fedora-coreos", files: [file("/usr/local/bin/a")] })).toEqual([]);
    expect(said({ distribution: "fedora-coreos", files: [file("/usr/bin/a")] })).toHaveLength(1);
  });

  it("find what is there twice", () => {
    const user = { name: "usera", groups: [], sshAuthorizedKeys: [] };
    const dropIns = [
      { name: "a.conf", content: "" },
      { name: "a.conf", content: "x" },
    ];
    const change = {
      files: [file("/a"), file("/a")],
      users: [user, user],
      units: [unit("a.service", { dropIns })],
    };
    expect(said(change).map((one) => one.split(":")[0])).toEqual([
      "file /a",
      "drop-in a.service.d/a.conf",
      "user usera",
    ]);
  });

  it("end the rendering with the node's name and every fault", () => {
    const files = {
      files: { "etc/a": { content: "", mode: 644, apply: { action: "none" } as const } },
      units: { "a.conf": { content: "[Unit]\n" } },
    };
    expect(() => renderUserData(flatcar, { ...args, files })).toThrow(
      /^coreos1: its user data cannot be applied\.\n {2}file etc\/a: .*\n {2}file etc\/a: .*\n {2}unit a\.conf: .*$/,
    );
  });
});

describe("the clock", () => {
  const files = (distribution: Distribution, ntp: string[]) =>
    nodeBaseFiles({
      distribution,
      docker: {},
      registryNames: [],
      caCertificate: "",
      noProxy: [],
      clockTimer: true,
      ntp,
    });
  const command = (distribution: Distribution, ntp = ["time.domain.com"]) =>
    files(distribution, ntp).units["date.service"]?.content?.match(/ExecStart=.*/g);

  it("is set by what the distribution has for it", () => {
    expect(command("flatcar")).toEqual(["ExecStart=/usr/bin/systemctl restart systemd-timesyncd.service"]);
    expect(command("fedora-coreos")).toEqual([
      "ExecStart=/usr/bin/chronyc burst 4/4",
      "ExecStart=/usr/bin/chronyc makestep",
    ]);
    expect(command("coreos")).toEqual(["ExecStart=/usr/sbin/ntpdate time.domain.com"]);
    expect(() => command("coreos", [])).toThrow("no server");
  });

  it("is set five minutes after a boot and daily, by a timer that comes back", () => {
    const timer = files("flatcar", []).units["date.timer"];
    expect(timer).toMatchObject({ enabled: true });
    for (const line of ["OnBootSec=5min", "OnCalendar=daily", "WantedBy=multi-user.target"]) {
      expect(timer?.content).toContain(`${line}\n`);
    }
  });

  it("belongs to the owner of a host that ran before", () => {
    const owned = nodeBaseFiles({
      docker: {},
      registryNames: [],
      caCertificate: "",
      noProxy: [],
      clockTimer: true,
      aliases: true,
    });
    expect(Object.keys(owned.units)).toEqual(["docker.service"]);
    expect(Object.keys(owned.files)).toEqual(["/etc/docker/daemon.json"]);
  });
});

describe("units of a cloud-config", () => {
  it("are started by it, but for one that waits for user data to be applied", () => {
    const content = (after: string) => `[Unit]\nAfter=${after}\n\n[Install]\nWantedBy=multi-user.target\n`;
    const units = {
      "own.service": { content: content("network.target"), enabled: true },
      "late.service": { content: content("network.target user-config.target"), enabled: true },
    };
    const text = renderUserData(flatcar, { ...args, format: "cloud-config", files: { files: {}, units } });
    const found = parsedCloudConfig(text).coreos.units;
    const stateOf = (name: string) => {
      const { enable, command } = found.find((one) => one.name === name) ?? {};
      return { enable, command };
    };
    expect(stateOf("own.service")).toEqual({ enable: true, command: "start" });
    expect(stateOf("late.service")).toEqual({ enable: true, command: undefined });
  });

  it("that are to be off are stopped by it, after all others, as Ignition disables them", () => {
    const units = {
      "update-engine.service": { enabled: false },
      "own.service": { content: "[Service]\nExecStart=/bin/true\n", enabled: false },
      "left.service": { content: "[Service]\nExecStart=/bin/true\n" },
      "on.service": {
        content: "[Service]\nExecStart=/bin/true\n\n[Install]\nWantedBy=a.target\n",
        enabled: true,
      },
    };
    const files: NodeFiles = { files: {}, units };
    const text = renderUserData(flatcar, { ...args, format: "cloud-config", files });
    const found = parsedCloudConfig(text).coreos.units.map(({ name, command }) => [name, command]);
    expect(found.slice(-4)).toEqual([
      ["left.service", undefined],
      ["on.service", "start"],
      ["update-engine.service", "stop"],
      ["own.service", "stop"],
    ]);
    const wanted = Object.fromEntries(
      Object.entries(units).map(([name, unit]) => [name, "enabled" in unit ? unit.enabled : undefined]),
    );
    for (const applied of [
      appliedCloudConfig(text).units,
      appliedIgnition(renderUserData(flatcar, { ...args, format: "ignition", files })).units,
    ]) {
      expect(Object.fromEntries(Object.keys(units).map((name) => [name, applied[name]?.enabled]))).toEqual(
        wanted,
      );
    }
  });
});

describe("the aliases", () => {
  it("ask Docker for what they are short for", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "moorage-aliases-"));
    const { files } = nodeBaseFiles({
      distribution: "flatcar",
      docker: {},
      registryNames: [],
      caCertificate: "",
      noProxy: [],
      aliases: true,
    });
    fs.writeFileSync(path.join(folder, "aliases.sh"), files["/etc/profile.d/aliases.sh"]?.content ?? "");
    fs.writeFileSync(path.join(folder, "docker"), '#!/bin/sh\necho "docker $*"\n', { mode: 0o755 });
    const shell = (line: string) =>
      spawnSync("sh", ["-euc", `. "${folder}/aliases.sh"; ${line}`], {
        encoding: "utf8",
        env: { PATH: `${folder}:/usr/bin:/bin` },
      }).stdout;
    expect(shell("dps")).toBe("docker ps --all\n");
    expect(shell("dl web")).toBe("docker logs --follow web\n");
    expect(shell("drm web db")).toBe("docker stop web db\ndocker rm web db\n");
    fs.rmSync(folder, { recursive: true });
  });
});
