/** What a node's user data is to come to on it, by what it is rendered from: no text of it is read back. */
import { describeNode, type UserDataArgs, type UserDataModel } from "@moorage/render";
import type { Applied } from "./userData";

type Made = Omit<UserDataArgs, "format">;

/** A user's groups are all that the model has, whatever makes a member of each; `core` has the distribution's. */
export function wantedOf(model: UserDataModel, { files, ...installed }: Made): Applied {
  const described = describeNode(model, installed, files);
  return {
    hostname: model.hostname,
    timeZone: model.timeZone,
    updateStrategy: model.updateStrategy,
    users: Object.fromEntries(
      model.users.map(({ name, passwordHash, groups, sshAuthorizedKeys }) => [
        name,
        { passwordHash, groups: name === "core" ? [] : [...groups], keys: [...sshAuthorizedKeys] },
      ]),
    ),
    files: Object.fromEntries(
      described.files.map(({ path, mode, owner = "root:root", content }) => [path, { mode, owner, content }]),
    ),
    units: Object.fromEntries(
      described.units.map(({ name, content, enabled, dropIns }) => [
        name,
        { content, enabled, dropIns: Object.fromEntries(dropIns.map((one) => [one.name, one.content])) },
      ]),
    ),
  };
}
