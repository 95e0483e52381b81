/** That what is asked of the operating system is something the distribution has. */
import { fileFaults, formatsOf, unitFaults } from "@moorage/render";
import { channels, type OsConfig } from "./os";
import type { Problem } from "./problem";
import type { Understood } from "./understood";

export function osChecks({ os, platform, storage }: Understood): Problem[] {
  return [
    ...checkRelease(os),
    ...checkImage(os),
    ...checkUsers(os),
    ...checkContainerLinux(os),
    ...checkClock(os),
    ...checkOwnFiles(os),
    ...checkOwnUnits(os),
    ...(platform === "existing" ? [] : checkMountPoint(os, storage.mountPoint)),
    ...(platform === "existing" ? checkExisting(os) : []),
  ];
}

function checkRelease({
  distribution,
  format,
  channel,
  version,
  updateStrategy,
}: Partial<OsConfig>): Problem[] {
  if (!distribution) return [];
  const problems: Problem[] = [];
  const formats = formatsOf[distribution];
  if (format && !formats.includes(format)) {
    problems.push({
      path: "os.format",
      found: format,
      wanted: `${formats.join(" or ")} for ${distribution}`,
    });
  }
  const known: readonly string[] = channels[distribution];
  if (channel && !known.includes(channel)) {
    problems.push({
      path: "os.channel",
      found: channel,
      wanted: `one of ${known.join(", ")} for ${distribution}`,
    });
  }
  if (distribution === "fedora-coreos" && version !== undefined) {
    problems.push({
      path: "os.version",
      found: version,
      wanted:
        "no version: coreos-installer takes the newest of its stream. To pin a release, give its image (os.image)",
    });
  }
  if (distribution === "fedora-coreos" && updateStrategy === "etcd-lock") {
    problems.push({
      path: "os.updateStrategy",
      found: updateStrategy,
      wanted: "off or reboot for fedora-coreos",
    });
  }
  return problems;
}

/** flatcar-install goes by the name, and writes what it cannot unpack as it is; coreos-installer goes by the content. */
const unpacked: Readonly<Record<OsConfig["distribution"], RegExp>> = {
  flatcar: /\.(bin|img|raw)(\.bz2)?$/,
  coreos: /\.(bin|img|raw)(\.bz2)?$/,
  "fedora-coreos": /\.(img|raw)(\.(xz|gz|zst))?$/,
};

function checkImage({ image, distribution }: Partial<OsConfig>): Problem[] {
  if (!image) return [];
  const problems: Problem[] = [];
  if ((image.sha512 === undefined) === (image.sha256 === undefined)) {
    problems.push({
      path: "os.image",
      found: image.sha512 === undefined ? "no checksum" : "two checksums",
      wanted: "either sha512 or sha256 beside the path, as the distribution publishes it",
    });
  }
  if (distribution && !unpacked[distribution].test(image.path)) {
    problems.push({
      path: "os.image.path",
      found: image.path,
      wanted:
        distribution === "fedora-coreos"
          ? "a metal image of Fedora CoreOS, such as fedora-coreos-….x86_64.raw.xz"
          : "an image that the installer can write, such as flatcar_production_image.bin.bz2, or unpacked as .bin",
    });
  }
  return problems;
}

function checkUsers({ users = {}, distribution }: Partial<OsConfig>): Problem[] {
  return Object.entries(users).flatMap(([name, { password, insecureMd5Password }]) => {
    const problems: Problem[] = [];
    if (name === "core" || name === "root") {
      const own = name === "core" ? "; core has its key by os.sshAuthorizedKey" : "";
      problems.push({ path: `os.users.${name}`, found: name, wanted: `a user of your own${own}` });
    }
    if (insecureMd5Password && (distribution !== "coreos" || !password)) {
      problems.push({
        path: `os.users.${name}.insecureMd5Password`,
        found: "true",
        wanted:
          distribution === "coreos"
            ? "password: true beside it"
            : "false: only distribution coreos may have it",
      });
    }
    return problems;
  });
}

function checkContainerLinux({ distribution, containerLinux }: Partial<OsConfig>): Problem[] {
  if (!containerLinux || !distribution) return [];
  if (distribution !== "coreos") {
    const found = Object.keys(containerLinux).join(", ");
    return [{ path: "os.containerLinux", found, wanted: `nothing: ${distribution} has none of it` }];
  }
  const { etcd2, fleet, flannel } = containerLinux;
  if (etcd2) return [];
  const needing = [...(fleet ? ["fleet"] : []), ...(flannel ? ["flannel"] : [])];
  return needing.map((one) => ({
    path: "os.containerLinux.etcd2",
    found: "nothing",
    wanted: `etcd2 with its discovery URL, where ${one} keeps its data`,
  }));
}

function checkClock({ distribution, clockTimer, ntp }: Partial<OsConfig>): Problem[] {
  return clockTimer && distribution === "coreos" && ntp?.length === 0
    ? [{ path: "os.ntp", found: "[]", wanted: "a time server, which ntpdate has to be told (os.clockTimer)" }]
    : [];
}

function checkOwnFiles({ files = {}, distribution = "flatcar" }: Partial<OsConfig>): Problem[] {
  return Object.entries(files).flatMap(([path, { permissions }]) =>
    fileFaults({ path, mode: Number.parseInt(permissions, 8), content: "" }, distribution).map(
      ({ fault, remedy }) => ({ path: `os.files.${path}`, found: fault, wanted: remedy }),
    ),
  );
}

/** The folder is made on the installed system, as any other that is written to. */
function checkMountPoint(
  { distribution = "flatcar" }: Partial<OsConfig>,
  mountPoint: string | undefined,
): Problem[] {
  if (mountPoint === undefined) return [];
  return fileFaults({ path: mountPoint, mode: 0o755, content: "" }, distribution).map(
    ({ fault, remedy }) => ({ path: "storage.mountPoint", found: `${mountPoint}: ${fault}`, wanted: remedy }),
  );
}

function checkOwnUnits({ units = {} }: Partial<OsConfig>): Problem[] {
  return Object.entries(units).flatMap(([name, { content, dropIns, enabled }]) => {
    const described = Object.entries(dropIns).map(([dropIn, text]) => ({ name: dropIn, content: text }));
    return unitFaults({ name, content, dropIns: described, enabled }).map(({ fault, remedy }) => ({
      path: `os.units.${name}`,
      found: fault,
      wanted: remedy,
    }));
  });
}

/** Left to the owner of a host that ran before. What has a default is told from it: the same does no harm. */
function checkExisting(given: Partial<OsConfig>): Problem[] {
  const { users = {}, clockTimer, aliases, containerLinux, image } = given;
  const defaults = {
    distribution: "flatcar",
    channel: "stable",
    timeZone: "UTC",
    updateStrategy: "off",
  } as const;
  const found: (readonly [string, string | undefined])[] = [
    ["users", Object.keys(users).join(", ")],
    ["clockTimer", clockTimer ? "true" : undefined],
    ["aliases", aliases ? "true" : undefined],
    ...(["format", "version", "sshAuthorizedKey"] as const).map((key) => [key, given[key]] as const),
    ["image", image?.path],
    ["containerLinux", containerLinux && Object.keys(containerLinux).join(", ")],
    ...(["distribution", "channel", "timeZone", "updateStrategy"] as const).map(
      (key) => [key, given[key] === defaults[key] ? undefined : given[key]] as const,
    ),
  ];
  return found.flatMap(([key, value]) =>
    value
      ? [
          {
            path: `os.${key}`,
            found: value,
            wanted: "nothing: on platform existing that is the hosts' owner's",
          },
        ]
      : [],
  );
}
