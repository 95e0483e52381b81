/** What a machine's live system is told before anything is installed: its keys, its address, who may log in. */
import * as fs from "node:fs";
import { configDriveOf, recordedState, type RecordedResource } from "@moorage/hosts";
import {
  renderInstallerUserData,
  renderIpxe,
  renderLiveIgnition,
  type LiveModel,
  type UserDataFormat,
} from "@moorage/render";
import { interfaceModel, nodeOf } from "../config/models";
import type { StackConfig } from "../config/stack";
import { nodeOptions, oneNode, parsed, userDataFormat } from "./arguments";
import { UsageError, type Command } from "./command";
import { Recorded } from "./recorded";
import { stackConfig } from "./stack";

export interface LiveOptions {
  /** What the live system reads: Ignition from the network, cloud-config from a config drive. */
  readonly format: UserDataFormat;
  /** Keys as they are, in place of placeholders. */
  readonly secrets: boolean;
}

export const live: Command = {
  usage:
    "NODE [--stack S] [--format ignition|cloud-config] [--secrets] [--config-drive FILE] [--ipxe URL [--release V] [--mirror URL]]",
  does:
    "prints what a physical machine's live system is told by the network or a stick, so that it can be installed\n" +
    "      --config-drive  writes that into FILE as an image for a second stick or drive, keys and all\n" +
    "      --ipxe          prints the script that boots it instead; URL is the folder where NODE.ign is served",
  async run(args) {
    const { node, stack, drive, ipxe, release, mirror, ...options } = argumentsOf(args);
    const secrets = options.secrets || drive !== undefined;
    const config = await stackConfig(stack, secrets);
    if (ipxe !== undefined) {
      process.stdout.write(ipxeFor(node, config, { folder: ipxe, release, mirror }));
      return 0;
    }
    const state = await recordedState(stack, secrets);
    const told = liveUserData(node, config, state, { format: options.format, secrets });
    if (secrets && !told.complete) throw keysNotMade(node);
    if (drive === undefined) process.stdout.write(told.text);
    else writeDrive(drive, told.text);
    return 0;
  },
};

function argumentsOf(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = { ...nodeOptions, "config-drive": text, ipxe: text, release: text, mirror: text };
  const { values, positionals } = parsed({ args: [...args], allowPositionals: true, options });
  const node = oneNode(positionals, "live system");
  const { stack, secrets, "config-drive": drive, ipxe, release, mirror } = values;
  const format = userDataFormat(values.format) ?? (drive === undefined ? "ignition" : "cloud-config");
  if (drive !== undefined && format !== "cloud-config") {
    throw new UsageError("--config-drive: a live system reads cloud-config from it, no Ignition");
  }
  if (ipxe === undefined && (release ?? mirror) !== undefined) {
    throw new UsageError("--release and --mirror are for the script of --ipxe");
  }
  return { node, stack, format, secrets, drive, ipxe, release, mirror } as const;
}

/** @throws Error where there is no such node, or its machine is none that boots by itself. */
function requireMetal(name: string, config: StackConfig): void {
  nodeOf(config, name);
  if (config.platform === "metal") return;
  throw new Error(
    config.platform === "existing"
      ? `${name}: a host that ran before (platform existing) is not installed, and needs no live system`
      : `${name}: on platform virtualbox the program starts the live system itself, and tells it what it needs`,
  );
}

/** @throws Error that says what is in the way. */
export function ipxeFor(
  name: string,
  config: StackConfig,
  args: { readonly folder: string; readonly release?: string; readonly mirror?: string },
): string {
  requireMetal(name, config);
  const { distribution, channel, version } = config.os;
  return renderIpxe({
    hostname: name,
    distribution,
    channel,
    release: args.release ?? version,
    mirror: args.mirror,
    ignition: `${args.folder.replace(/\/+$/, "")}/${name}.ign`,
  });
}

/**
 * What the live system is told, and whether all of it was known.
 * @throws Error where there is nothing to tell, or the distribution's live system would not read it.
 */
export function liveUserData(
  name: string,
  config: StackConfig,
  state: readonly RecordedResource[],
  { format, secrets }: LiveOptions,
): { readonly text: string; readonly complete: boolean } {
  requireMetal(name, config);
  const { os } = config;
  const node = nodeOf(config, name);
  if (node.installer?.hostKey !== undefined) {
    throw new Error(
      `${name}: its live system has a host key of its own (nodes.${name}.installer.hostKey), which nobody has to tell it. Leave that key out to have one made`,
    );
  }
  const why = untold(name, os.distribution, format);
  if (why !== undefined) throw new Error(`${name}: the live system of ${os.distribution} ${why}`);
  const other = otherLogin(name, config);
  if (other !== undefined) throw new Error(`${name}: its live system ${other}`);
  const known = new Recorded(state, secrets);
  const key = `${name}-installer-host-key`;
  const model: LiveModel = {
    hostname: name,
    distribution: os.distribution,
    sshAuthorizedKeys: [
      os.sshAuthorizedKey ?? known.value("fleet-login-key", "publicKeyOpenssh", "public key to log in"),
    ],
    hostKey: {
      privateKey: known.secret(key, "privateKeyOpenssh", `host key of the live system of ${name}`),
      publicKey: known.value(key, "publicKeyOpenssh", `public host key of the live system of ${name}`),
    },
    network: interfaceModel(config, node),
  };
  const text = format === "ignition" ? renderLiveIgnition(model) : renderInstallerUserData(model);
  return { text, complete: known.complete };
}

/** Why a live system is told nothing in that format, and what to do; absent where it is. */
function untold(
  name: string,
  distribution: StackConfig["os"]["distribution"],
  format: UserDataFormat,
): string | undefined {
  if (distribution === "coreos")
    return `reads no Ignition 3, and was never tried with a config drive; let it make its own host key, and name that in nodes.${name}.installer.hostKey`;
  if (format === "cloud-config" && distribution !== "flatcar")
    return "reads no cloud-config; give it Ignition";
  return undefined;
}

/** Why it would not let in whom the program logs in as, and what to do; absent where it does. */
function otherLogin(name: string, config: StackConfig): string | undefined {
  const { installer } = nodeOf(config, name);
  const at = `nodes.${name}.installer`;
  const user = installer?.user ?? "core";
  if (user !== "core") return `lets in core by what it is told, not ${user}; leave ${at}.user out`;
  if (installer?.identityFile !== undefined && config.os.sshAuthorizedKey === undefined)
    return `lets in the program's own key by what it is told, not ${at}.identityFile; leave that out, or name its public part in os.sshAuthorizedKey`;
  return undefined;
}

function keysNotMade(node: string): Error {
  return new Error(
    `${node}: the keys of its live system are not made yet. Run pulumi up once: it makes them, and ends at its preflight, as nobody answers yet`,
  );
}

function writeDrive(file: string, text: string): void {
  try {
    fs.writeFileSync(file, configDriveOf(text), { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw new Error(`the config drive cannot be written: ${(error as Error).message}`);
  }
  console.error(
    `${file} holds the live system's keys: write it to a stick of its own, and delete it afterwards. ` +
      "A physical machine reads it where its kernel is told flatcar.configdrive=1 (docs/metal.md)",
  );
}
