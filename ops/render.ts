/** Prints a node's user data as `pulumi up` would install it, from the configuration and the keys in the state. */
import { recordedState, type RecordedResource } from "@moorage/hosts";
import {
  installHashOf,
  renderUserData,
  type UserDataArgs,
  type UserDataFormat,
  type UserDataModel,
} from "@moorage/render";
import { baseFiles, nodeOf, userDataModel, usersWithPassword } from "../config/models";
import { formatOf } from "../config/os";
import type { StackConfig } from "../config/stack";
import { nodeOptions, oneNode, parsed, userDataFormat } from "./arguments";
import type { Command } from "./command";
import { placeholder, Recorded } from "./recorded";
import { stackConfig } from "./stack";

export interface RenderOptions {
  /** The configuration's by default. */
  readonly format?: UserDataFormat;
  /** With what is otherwise put on the node over SSH before it joins the Swarm. */
  readonly whole: boolean;
  /** Keys and hashes as they are, in place of placeholders. */
  readonly secrets: boolean;
}

export const render: Command = {
  usage: "NODE [--stack STACK] [--format ignition|cloud-config] [--whole] [--secrets]",
  does: "prints a node's user data; --whole adds what is otherwise put there over SSH before it joins the Swarm, --secrets shows keys and hashes",
  async run(args) {
    const { node, stack, ...options } = argumentsOf(args);
    const [config, state] = await Promise.all([
      stackConfig(stack, options.secrets),
      recordedState(stack, options.secrets),
    ]);
    process.stdout.write(renderNode(node, config, state, options));
    return 0;
  },
};

function argumentsOf(args: readonly string[]) {
  const options = { ...nodeOptions, whole: { type: "boolean", default: false } } as const;
  const { values, positionals } = parsed({ args: [...args], allowPositionals: true, options });
  const { stack, whole, secrets } = values;
  const node = oneNode(positionals, "user data");
  return { node, stack, format: userDataFormat(values.format), whole, secrets } as const;
}

/** @throws Error where there is no such node, or it has no user data, or not in this format. */
export function renderNode(
  name: string,
  config: StackConfig,
  state: readonly RecordedResource[],
  options: RenderOptions,
): string {
  const { model, args } = userDataOf(name, config, state, options);
  return renderUserData(model, args);
}

/** All that a node's user data is rendered from. */
export function userDataOf(
  name: string,
  config: StackConfig,
  state: readonly RecordedResource[],
  { format = formatOf(config.os), whole, secrets }: RenderOptions,
): { readonly model: UserDataModel; readonly args: UserDataArgs } {
  nodeOf(config, name);
  if (config.platform === "existing") {
    throw new Error(
      `${name}: a host that ran before (platform existing) is not installed, and has no user data`,
    );
  }
  const known = new Recorded(state, secrets);
  const later = new Recorded(state, secrets);
  const passwordHashes = Object.fromEntries(
    usersWithPassword(config).map((user) => [
      user,
      later.secret(`fleet-user-${user}-hash`, "stdout", `password hash of ${user}`),
    ]),
  );
  const model = userDataModel(config, name, {
    hostKey: {
      privateKey: known.secret(`${name}-host-key`, "privateKeyOpenssh", `host key of ${name}`),
      publicKey: known.value(`${name}-host-key`, "publicKeyOpenssh", `public host key of ${name}`),
    },
    authorizedKey:
      config.os.sshAuthorizedKey ??
      known.value("fleet-login-key", "publicKeyOpenssh", "public key to log in"),
    passwordHashes,
  });
  // It covers the host key: of a placeholder it would be the digest of no node.
  const installHash = known.complete
    ? installHashOf(model, format)
    : placeholder("digest of the installation", secrets);
  const files = whole
    ? baseFiles(config, name, {
        caCertificate: later.text("ca-certificate", "certPem", "CA certificate"),
        api: {
          ca: later.text("ca-docker-certificate", "certPem", "CA certificate of Docker's API"),
          certificate: later.text(`ca-docker-${name}-certificate`, "certPem", "certificate of Docker's API"),
          key: later.secret(`ca-docker-${name}-key`, "privateKeyPem", "key of Docker's API"),
        },
        passwordHashes,
      })
    : undefined;
  const stack = known.stack(`${name}-host-key`, "stack");
  return { model, args: { format, installHash, stack, files } };
}
