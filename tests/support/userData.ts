/** What rendered user data comes to on a node, read back from either format. */
import { parse } from "yaml";

/** The same for the same node, whatever its user data was written in. */
export interface Applied {
  readonly hostname: string;
  readonly timeZone?: string;
  readonly updateStrategy?: string;
  /** By name: password hash, groups, keys. `core` has its groups from the distribution. */
  readonly users: Record<string, { passwordHash?: string; groups: string[]; keys: string[] }>;
  /** By path: mode, owner and content. */
  readonly files: Record<string, { mode: number; owner: string; content: string }>;
  /** By name. `enabled` is absent where the unit is left as it is. */
  readonly units: Record<string, { content?: string; enabled?: boolean; dropIns: Record<string, string> }>;
}

interface IgnitionConfig {
  readonly passwd: {
    readonly users: {
      readonly name: string;
      readonly passwordHash?: string;
      readonly groups?: string[];
      readonly sshAuthorizedKeys?: string[];
    }[];
  };
  readonly storage: {
    readonly files: {
      readonly path: string;
      readonly mode: number;
      readonly user?: { readonly name: string };
      readonly group?: { readonly name: string };
      readonly contents: { readonly source: string };
    }[];
    readonly links: { readonly path: string; readonly target: string }[];
  };
  readonly systemd: {
    readonly units: {
      readonly name: string;
      readonly enabled?: boolean;
      readonly contents?: string;
      readonly dropins?: { readonly name: string; readonly contents: string }[];
    }[];
  };
}

export function appliedIgnition(text: string): Applied {
  const { passwd, storage, systemd } = JSON.parse(text) as IgnitionConfig;
  const files = Object.fromEntries(
    storage.files.map(({ path, mode, user, group, contents }) => [
      path,
      {
        mode,
        owner: `${user?.name ?? "root"}:${group?.name ?? "root"}`,
        content: decodeURIComponent(contents.source.replace(/^data:,/, "")),
      },
    ]),
  );
  const take = (path: string) => {
    const { content } = files[path] ?? { content: undefined };
    delete files[path];
    return content?.trim();
  };
  return {
    hostname: take("/etc/hostname") ?? "",
    timeZone: storage.links
      .find(({ path }) => path === "/etc/localtime")
      ?.target.replace("/usr/share/zoneinfo/", ""),
    updateStrategy: take("/etc/flatcar/update.conf")?.replace("REBOOT_STRATEGY=", ""),
    users: Object.fromEntries(
      passwd.users.map(({ name, passwordHash, groups, sshAuthorizedKeys }) => [
        name,
        { passwordHash, groups: name === "core" ? [] : (groups ?? []), keys: sshAuthorizedKeys ?? [] },
      ]),
    ),
    files,
    units: Object.fromEntries(
      systemd.units.map(({ name, contents, enabled, dropins = [] }) => [
        name,
        {
          content: contents,
          enabled,
          dropIns: Object.fromEntries(dropins.map((one) => [one.name, one.contents])),
        },
      ]),
    ),
  };
}

export interface CloudConfigUnit {
  readonly name: string;
  readonly enable?: boolean;
  readonly runtime?: boolean;
  readonly command?: string;
  readonly content?: string;
  readonly drop_ins?: readonly { readonly name: string; readonly content: string }[];
}

/** With underscores in its keys. */
export interface CloudConfig {
  readonly hostname: string;
  readonly ssh_authorized_keys?: string[];
  readonly users?: {
    readonly name: string;
    readonly passwd?: string;
    readonly groups?: string[];
    readonly ssh_authorized_keys?: string[];
  }[];
  readonly write_files?: {
    readonly path: string;
    readonly permissions: string;
    readonly owner: string;
    readonly content: string;
  }[];
  readonly coreos: {
    readonly update?: { readonly reboot_strategy: string };
    readonly etcd2?: Record<string, string>;
    readonly fleet?: Record<string, string>;
    readonly flannel?: Record<string, string>;
    readonly units: CloudConfigUnit[];
  };
}

/** A cloud-config with underscores in its keys, however it was written. */
export function parsedCloudConfig(text: string): CloudConfig {
  if (!text.startsWith("#cloud-config\n")) throw new Error("the header is not #cloud-config");
  return underscored(parse(text)) as CloudConfig;
}

function underscored(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(underscored);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.replaceAll("-", "_"), underscored(inner)]),
  );
}

const networkUnit = /\.(network|netdev|link)$/;

export function appliedCloudConfig(text: string): Applied {
  const { hostname, ssh_authorized_keys, users = [], write_files = [], coreos } = parsedCloudConfig(text);
  const units = coreos.units.filter(({ name }) => !networkUnit.test(name) && name !== "settimezone.service");
  const zone = coreos.units.find(({ name }) => name === "settimezone.service")?.content;
  const core = users.find(({ name }) => name === "core");
  return {
    hostname,
    timeZone: /set-timezone (\S+)$/m.exec(zone ?? "")?.[1],
    updateStrategy: coreos.update?.reboot_strategy,
    users: Object.fromEntries([
      ...(ssh_authorized_keys || core
        ? [["core", { passwordHash: core?.passwd, groups: [], keys: ssh_authorized_keys ?? [] }]]
        : []),
      ...users
        .filter((user) => user !== core)
        .map((user) => [
          user.name,
          { passwordHash: user.passwd, groups: user.groups ?? [], keys: user.ssh_authorized_keys ?? [] },
        ]),
    ]) as Applied["users"],
    files: Object.fromEntries([
      ...coreos.units
        .filter(({ name }) => networkUnit.test(name))
        .map(({ name, content = "" }) => [
          `/etc/systemd/network/${name}`,
          { mode: 0o644, owner: "root:root", content },
        ]),
      ...write_files.map(({ path, permissions, owner, content }) => [
        path,
        { mode: Number.parseInt(permissions, 8), owner, content },
      ]),
    ]) as Applied["files"],
    units: Object.fromEntries(
      units.map(({ name, content, enable, command, drop_ins = [] }) => [
        name,
        {
          content,
          // What is stopped at every boot is off, whatever else would start it.
          enabled: command === "stop" ? false : enable,
          dropIns: Object.fromEntries(drop_ins.map((one) => [one.name, one.content])),
        },
      ]),
    ),
  };
}
