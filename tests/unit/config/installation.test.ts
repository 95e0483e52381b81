import { describe, expect, test } from "vitest";
import { mistakesWith, type Settings } from "./mistakes";

describe("the system's image in a file", () => {
  const wantedSum = "either sha512 or sha256 beside the path, as the distribution publishes it";
  const sha512 = "a".repeat(128);
  const sha256 = "a".repeat(64);
  const cases: [string, Settings, string[]][] = [
    [
      "without a checksum",
      { "os.image": { path: "flatcar_production_image.bin.bz2" } },
      [`os.image: no checksum; ${wantedSum}`],
    ],
    [
      "that flatcar-install would write as it is",
      { "os.image": { path: "flatcar_production_image.bin.xz", sha512 } },
      [
        "os.image.path: flatcar_production_image.bin.xz; an image that the installer can write, such as flatcar_production_image.bin.bz2, or unpacked as .bin",
      ],
    ],
    [
      "for another installer, with two checksums",
      { "os.distribution": "fedora-coreos", "os.image": { path: "image.bin.bz2", sha512, sha256 } },
      [
        `os.image: two checksums; ${wantedSum}`,
        "os.image.path: image.bin.bz2; a metal image of Fedora CoreOS, such as fedora-coreos-….x86_64.raw.xz",
      ],
    ],
    ["as Flatcar has it", { "os.image": { path: "images/flatcar_production_image.bin.bz2", sha512 } }, []],
    [
      "as Fedora CoreOS has it",
      { "os.distribution": "fedora-coreos", "os.image": { path: "/srv/fedora-coreos.raw.xz", sha256 } },
      [],
    ],
  ];

  test.each(cases)("%s", (_name, settings, expected) => {
    expect(mistakesWith(settings)).toEqual(expected);
  });
});

describe("a host that ran before", () => {
  test("has an operating system of its owner's", () => {
    const os = {
      users: { usera: {} },
      clockTimer: true,
      aliases: true,
      format: "ignition",
      version: "1",
      sshAuthorizedKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      image: { path: "a.raw", sha256: "a".repeat(64) },
      distribution: "fedora-coreos",
      channel: "testing",
      timeZone: "Europe/Berlin",
      updateStrategy: "reboot",
    };
    const found = mistakesWith({ os }, "existing").filter((one) =>
      one.includes("that is the hosts' owner's"),
    );
    expect(found.map((one) => one.split(":")[0])).toEqual([
      "os.users",
      "os.clockTimer",
      "os.aliases",
      "os.format",
      "os.version",
      "os.sshAuthorizedKey",
      "os.image",
      "os.distribution",
      "os.channel",
      "os.timeZone",
      "os.updateStrategy",
    ]);
    const harmless = { timeZone: "UTC", channel: "stable", updateStrategy: "off", motd: "hello" };
    expect(mistakesWith({ os: harmless }, "existing")).toEqual([]);
  });

  test("is not installed", () => {
    const settings = {
      "nodes.node1.disk": "/dev/sda",
      "nodes.node1.erasableDisk": "S1",
      "nodes.node1.installer": {},
    };
    expect(mistakesWith(settings, "existing").map((one) => one.split(":")[0])).toEqual([
      "nodes.node1.disk",
      "nodes.node1.erasableDisk",
      "nodes.node1.installer",
    ]);
  });
});
