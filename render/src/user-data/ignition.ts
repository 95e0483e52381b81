/** Ignition 3.3.0, which Flatcar and Fedora CoreOS take. */
import type { DescribedFile, DescribedUnit, DescribedUser, NodeDescription } from "./description";

interface IgnitionFile {
  readonly path: string;
  readonly mode: number;
  readonly overwrite: true;
  readonly user?: { readonly name: string };
  readonly group?: { readonly name: string };
  readonly contents: { readonly source: string };
}
interface IgnitionLink {
  readonly path: string;
  readonly target: string;
  readonly hard: false;
  readonly overwrite: true;
}

export function renderIgnition(node: NodeDescription): string {
  const files: DescribedFile[] = [
    { path: "/etc/hostname", mode: 0o644, content: `${node.hostname}\n` },
    ...node.files,
    updateFile(node),
  ];
  const config = {
    ignition: { version: "3.3.0" },
    passwd: { users: node.users.map(user) },
    storage: { files: files.map(file), links: links(node) },
    systemd: { units: node.units.map(unit) },
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

function user(model: DescribedUser): object {
  return {
    name: model.name,
    ...(model.passwordHash === undefined ? {} : { passwordHash: model.passwordHash }),
    ...(model.groups.length > 0 ? { groups: model.groups } : {}),
    ...(model.sshAuthorizedKeys.length > 0 ? { sshAuthorizedKeys: model.sshAuthorizedKeys } : {}),
  };
}

function unit({ name, content, dropIns, enabled }: DescribedUnit): object {
  return {
    name,
    ...(enabled === undefined ? {} : { enabled }),
    ...(content === undefined ? {} : { contents: content }),
    ...(dropIns.length > 0
      ? { dropins: dropIns.map((dropIn) => ({ name: dropIn.name, contents: dropIn.content })) }
      : {}),
  };
}

function updateFile({ distribution, updateStrategy }: NodeDescription): DescribedFile {
  if (distribution === "fedora-coreos") {
    const setting = updateStrategy === "off" ? "enabled = false" : 'strategy = "immediate"';
    return {
      path: "/etc/zincati/config.d/90-moorage.toml",
      mode: 0o644,
      content: `[updates]\n${setting}\n`,
    };
  }
  return { path: "/etc/flatcar/update.conf", mode: 0o644, content: `REBOOT_STRATEGY=${updateStrategy}\n` };
}

function links({ timeZone, units }: NodeDescription): IgnitionLink[] {
  return [
    ...(timeZone === undefined ? [] : [link("/etc/localtime", `/usr/share/zoneinfo/${timeZone}`)]),
    ...units.flatMap(({ name, linkedFrom }) =>
      linkedFrom === undefined
        ? []
        : [link(`/etc/systemd/system/multi-user.target.wants/${name}`, linkedFrom)],
    ),
  ];
}

function file({ path, mode, owner, content }: DescribedFile): IgnitionFile {
  const [name, group] = owner === undefined || owner === "root:root" ? [] : owner.split(":");
  return {
    path,
    mode,
    overwrite: true,
    ...(name ? { user: { name } } : {}),
    ...(group ? { group: { name: group } } : {}),
    contents: { source: dataUrl(content) },
  };
}

function link(path: string, target: string): IgnitionLink {
  return { path, target, hard: false, overwrite: true };
}

/** Percent-encoding keeps the file readable in a review. */
function dataUrl(content: string): string {
  const escaped = encodeURIComponent(content).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `data:,${escaped}`;
}
