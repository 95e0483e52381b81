import type { Distribution, NodeFiles, UserDataModel, UserModel } from "../model";
import { renderNetwork } from "../network";
import { word } from "../text";
import { containerLinuxUnits } from "./container-linux";
import {
  mergeUnits,
  type DescribedFile,
  type DescribedUnit,
  type DescribedUser,
  type NodeDescription,
} from "./description";
import { sshdFiles } from "./sshd";

export const installMarkerPath = "/etc/moorage/install.json";

/** What an installation says of itself. */
export interface Installed {
  /** `installHashOf()` the model. */
  readonly installHash: string;
  /**
   * Whose it is, `project/stack`: the next installation of the node takes its disk by that.
   * @default it is nobody's, and no other takes its disk
   */
  readonly stack?: string;
}

/**
 * Groups that each distribution keeps in /etc/group, where useradd and usermod find them. All others of its groups
 * are on its read-only /usr, which those tools cannot change: there a user becomes a member by a file that
 * nss-systemd reads. Container Linux is older than that.
 */
const groupsInEtc: Readonly<Record<Distribution, readonly string[]>> = {
  flatcar: ["core", "docker", "root", "sudo", "systemd-journal", "wheel"],
  "fedora-coreos": ["adm", "docker", "sudo", "systemd-journal", "wheel"],
  coreos: [],
};

/**
 * A node's description: what only an installation can set, and with `files` what is otherwise put on the node over
 * SSH, for a site that installs by hand.
 */
export function describeNode(model: UserDataModel, installed: Installed, files?: NodeFiles): NodeDescription {
  const { hostname, distribution, timeZone, updateStrategy, containerLinux } = model;
  return {
    hostname,
    distribution,
    users: model.users.map((user) => described(user, distribution)),
    files: [...ownFiles(model, installed), ...filesOf(files)],
    units: mergeUnits([...ownUnits(model), ...unitsOf(files)]),
    timeZone,
    updateStrategy,
    containerLinux,
  };
}

function byTools(group: string, distribution: Distribution): boolean {
  return distribution === "coreos" || groupsInEtc[distribution].includes(group);
}

function described(user: UserModel, distribution: Distribution): DescribedUser {
  return { ...user, groups: user.groups.filter((group) => byTools(group, distribution)) };
}

/** Only the name of such a file counts, but one that is empty masks itself. */
function membershipFiles({ users, distribution }: UserDataModel): DescribedFile[] {
  return users.flatMap(({ name, groups }) =>
    groups
      .filter((group) => !byTools(group, distribution))
      .map((group) =>
        file(`/etc/userdb/${word(name, "user")}:${word(group, "group")}.membership`, 0o644, "{}\n"),
      ),
  );
}

function ownFiles(model: UserDataModel, { installHash, stack }: Installed): DescribedFile[] {
  const mark = { installHash, ...(stack === undefined ? {} : { stack, node: model.hostname }) };
  return [
    file(installMarkerPath, 0o644, `${JSON.stringify(mark)}\n`),
    file("/etc/ssh/ssh_host_ed25519_key", 0o600, endLine(model.hostKey.privateKey)),
    file("/etc/ssh/ssh_host_ed25519_key.pub", 0o644, endLine(model.hostKey.publicKey)),
    ...sshdFiles(model.distribution),
    ...membershipFiles(model),
    ...networkFiles(model),
  ];
}

function networkFiles(model: UserDataModel): DescribedFile[] {
  return Object.entries(renderNetwork(model).files).map(([path, { mode, content }]) =>
    file(path, mode, content),
  );
}

function ownUnits(model: UserDataModel): DescribedUnit[] {
  return [
    ...containerLinuxUnits(model.containerLinux ?? {}),
    {
      name: "docker.service",
      dropIns: [],
      enabled: true,
      // Flatcar starts Docker by its socket only. A Swarm node has to come back by itself after a reboot.
      ...(model.distribution === "flatcar" ? { linkedFrom: "/usr/lib/systemd/system/docker.service" } : {}),
    },
  ];
}

function filesOf(files: NodeFiles | undefined): DescribedFile[] {
  return Object.entries(files?.files ?? {}).map(([path, { content, mode, owner }]) => ({
    path,
    mode,
    ...(owner === undefined ? {} : { owner }),
    content,
  }));
}

function unitsOf(files: NodeFiles | undefined): DescribedUnit[] {
  return Object.entries(files?.units ?? {}).map(([name, { content, dropIns = {}, enabled }]) => ({
    name,
    ...(content === undefined ? {} : { content }),
    dropIns: Object.entries(dropIns).map(([dropIn, text]) => ({ name: dropIn, content: text })),
    ...(enabled === undefined ? {} : { enabled }),
  }));
}

function file(path: string, mode: number, content: string): DescribedFile {
  return { path, mode, content };
}

function endLine(text: string): string {
  return `${text.trimEnd()}\n`;
}
