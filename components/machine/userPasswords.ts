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
      return [user, result, this.hash(`${name}-${user}`, result, args.insecureMd5.includes(user))] as const;
    });
    this.passwords = Object.fromEntries(made.map(([user, password]) => [user, password]));
    this.hashes = Object.fromEntries(made.map(([user, , hash]) => [user, hash]));
    this.registerOutputs({});
  }

  /**
   * Its salt is random: the hash is made once, and again only when the password is another, or the kind of hash; not when the
   * command is written otherwise. It is another resource then, as an update would run the command that is recorded.
   */
  private hash(name: string, password: pulumi.Output<string>, md5: boolean): pulumi.Output<string> {
    const made = new command.local.Command(
      `${name}-hash${md5 ? "-md5" : ""}`,
      {
        create: hashCommand(md5),
        stdin: password,
        logging: "none",
      },
      {
        parent: this,
        additionalSecretOutputs: ["stdout", "stderr"],
        ignoreChanges: ["create"],
        replaceOnChanges: ["stdin"],
      },
    );
    return pulumi.secret(made.stdout.apply((text) => text.trim()));
  }
}

/** Where an OpenSSL lies that its installer does not put onto the PATH: Homebrew's, on either kind of Mac, and MacPorts'. */
const others = [
  "/opt/homebrew/opt/openssl/bin/openssl",
  "/usr/local/opt/openssl/bin/openssl",
  "/opt/local/bin/openssl",
];

/**
 * macOS's own openssl is LibreSSL, which knows no SHA-512 and ends without having read anything: the next one is asked.
 * Understood by a POSIX shell and by cmd alike.
 */
export function hashCommand(md5: boolean): string {
  if (md5) return "openssl passwd -1 -stdin";
  const asked = ["openssl", ...others].map((openssl) => `${openssl} passwd -6 -stdin`);
  return [...asked, `(echo ${noOpenssl} 1>&2 && exit 1)`].join(" || ");
}

/** Without a character that either of the shells would take for more than a letter. */
const noOpenssl =
  "No openssl here makes a hash with SHA-512, by passwd -6: that takes OpenSSL 1.1.1 or newer, and the one of macOS is " +
  "LibreSSL. Install it, on macOS by brew install openssl, and run again";
