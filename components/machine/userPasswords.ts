import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

const passwordLength = 24;

export interface UserPasswordsArgs {
  /** Names of the users who get a password, for console and sudo. */
  readonly users: readonly string[];
  /** Those of them whose hash is MD5-crypt, which Container Linux's users may have been made with. */
  readonly insecureMd5: readonly string[];
}

/** Passwords of the nodes' users, the same on every node, with the hashes that the nodes get. */
export class UserPasswords extends pulumi.ComponentResource {
  /** By user; secret. */
  readonly passwords: Readonly<Record<string, pulumi.Output<string>>>;
  /** By user; secret. */
  readonly hashes: Readonly<Record<string, pulumi.Output<string>>>;

  constructor(name: string, args: UserPasswordsArgs, options?: pulumi.ComponentResourceOptions) {
    super("moorage:machine:UserPasswords", name, {}, options);
    const made = args.users.map((user) => {
      const { result } = new random.RandomPassword(
        `${name}-${user}`,
        // Typed at a console whose keyboard may be any.
        { length: passwordLength, special: false },
        { parent: this },
      );
      return [
        user,
        result,
        this.hash(`${name}-${user}-hash`, result, args.insecureMd5.includes(user)),
      ] as const;
    });
    this.passwords = Object.fromEntries(made.map(([user, password]) => [user, password]));
    this.hashes = Object.fromEntries(made.map(([user, , hash]) => [user, hash]));
    this.registerOutputs({});
  }

  /** Its salt is random: the hash is made once, and again only when the password is another. */
  private hash(name: string, password: pulumi.Output<string>, md5: boolean): pulumi.Output<string> {
    const made = new command.local.Command(
      name,
      {
        create: `openssl passwd ${md5 ? "-1" : "-6"} -stdin`,
        stdin: password,
        logging: "none",
      },
      { parent: this, additionalSecretOutputs: ["stdout", "stderr"] },
    );
    return pulumi.secret(made.stdout.apply((text) => text.trim()));
  }
}
