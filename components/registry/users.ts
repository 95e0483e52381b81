import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type * as render from "@moorage/render";
import type { RegistryConfig } from "../../config/services";

export interface RegistryUser {
  readonly name: string;
  /** Secret. */
  readonly password: pulumi.Output<string>;
  /** Secret. */
  readonly bcryptHash: pulumi.Output<string>;
  readonly rights: render.RightModel[];
}

/** The registry's users, each with a generated password. */
export class RegistryUsers extends pulumi.ComponentResource {
  readonly all: RegistryUser[];
  /** The first user, by name, who may write everything. */
  readonly administrator: RegistryUser;
  /** Every user's password, by name. Secret. */
  readonly passwords: pulumi.Output<Record<string, string>>;
  /** Every user's bcrypt hash, by name. Secret. */
  readonly hashes: pulumi.Output<Record<string, string>>;

  constructor(name: string, users: RegistryConfig["users"], options?: pulumi.ComponentResourceOptions) {
    super("moorage:registry:RegistryUsers", name, {}, options);
    this.all = Object.entries(users).map(([user, { rights }]) => this.user(name, user, rights));
    this.administrator = administratorAmong(this.all);
    this.passwords = this.byName(({ password }) => password);
    this.hashes = this.byName(({ bcryptHash }) => bcryptHash);
    this.registerOutputs({});
  }

  private user(name: string, user: string, rights: RegistryConfig["users"][string]["rights"]): RegistryUser {
    const password = new random.RandomPassword(
      `${name}-${user}`,
      { length: 32, special: false },
      { parent: this },
    );
    return {
      name: user,
      password: password.result,
      bcryptHash: password.bcryptHash,
      rights: rights.map(({ repositories, access }) => ({ prefix: repositories.replace(/\*$/, ""), access })),
    };
  }

  private byName(
    value: (user: RegistryUser) => pulumi.Output<string>,
  ): pulumi.Output<Record<string, string>> {
    return pulumi.secret(Object.fromEntries(this.all.map((user) => [user.name, value(user)])));
  }
}

function administratorAmong(users: RegistryUser[]): RegistryUser {
  const found = users.find(({ rights }) =>
    rights.some(({ prefix, access }) => prefix === "" && access === "write"),
  );
  if (!found) throw new Error("no user of the registry may write everything");
  return found;
}
