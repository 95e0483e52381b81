import * as fs from "node:fs";
import * as path from "node:path";
import { buildImages, donorRoot } from "../images";
import { LabError, writeAtomic } from "../exec";
import { checkout, claimInstance, exclusively, type Instance, type Platform } from "../instance";
import { consoleRun, hostState } from "../hosts";
import { checkMachine, platformOf, reinstall, up } from "../lab";
import { pointTo, type Log, type Tools } from "../../toolchain";
import { baseRoot } from "../roots";
import { accessFile } from "../ssh";
import { ensureStack, ensureTools, environmentOf, madeHostKeys, outputs, pulumi } from "./pulumi";
import { introduce, pushAndPull, type RegistryAccess } from "./push";
import { ensureStackFile, passphrase } from "./stack";
import { releaseStaleLock } from "./stackLock";

/** How long each part of a journey took, in seconds. */
export type Timings = Record<string, number>;

/** A lab whose registry was pushed to and pulled from. */
export interface Arrived {
  readonly instance: Instance;
  readonly access: RegistryAccess;
  readonly env: Record<string, string>;
  readonly digest: string;
  readonly timings: Timings;
}

/** A lab whose hosts run and whose stack can be brought up. */
export interface Prepared {
  readonly instance: Instance;
  readonly env: Record<string, string>;
  /** Folder of the image archives. */
  readonly images: string;
}

type Part = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Tools, images, hosts and an empty stack. */
export async function prepare(say: Log, part: Part, wanted?: Platform): Promise<Prepared> {
  const { tools, images } = await provide(say, part);
  const { instance } = await part("hosts", () => up({ say, platform: wanted }));
  const env = environmentOf(instance, tools);
  passphrase(instance);
  ensureStackFile(instance, platformOf(instance));
  await ensureStack(instance, env);
  return { instance, env, images };
}

/** Tools, image archives and what hosts are made of: all that a lab takes and that is kept for the next one. */
export async function provide(
  say: Log,
  part: Part = (_name, work) => work(),
): Promise<{ tools: Tools; images: string }> {
  // Debian roots are unpacked on one core, and programs linked on one: both are quicker side by side.
  const roots = Promise.all([baseRoot(), donorRoot()]);
  roots.catch(() => undefined);
  const tools = await part("tools", () => ensureTools((line: string) => say(`  ${line}`)));
  await roots;
  return { tools, images: await part("images", () => imagesIn(checkout(), tools)) };
}

/**
 * From nothing to a push and a pull: tools, images, hosts, `pulumi up`, clients. Goes on where it was.
 * @param settings of Pulumi's environment, in place of the lab's own.
 */
export async function journey(
  say: Log,
  wanted?: Platform,
  settings: Readonly<Record<string, string>> = {},
): Promise<Arrived> {
  // Before minutes are spent on tools for a machine that will not do.
  await checkMachine();
  const { number } = await claimInstance();
  return exclusively(`journey-${number}`, `make lab (lab ${number})`, () => travel(say, wanted, settings));
}

async function travel(
  say: Log,
  wanted: Platform | undefined,
  settings: Readonly<Record<string, string>>,
): Promise<Arrived> {
  const timings: Timings = {};
  const part: Part = async (name, work) => {
    say(name);
    const start = Date.now();
    const result = await work();
    timings[name] = (Date.now() - start) / 1000;
    return result;
  };
  const { instance, env: own, images } = await prepare(say, part, wanted);
  const env = { ...own, ...settings };
  await part("pulumi up", async () => {
    await reinstallStrangers(instance, env, say);
    const cutOff = await releaseStaleLock(instance, env, say);
    if (cutOff) say("  an update before was cut off; going on where it was");
    await pulumi(["up", ...plainOptions()], env);
    // What was under way is finished by now; Pulumi would go on warning of it.
    if (cutOff) await pulumi(["refresh", "--clear-pending-creates", ...plainOptions()], env);
  });
  const access = await recordAccess(instance, env);
  const digest = await part("push and pull", async () => {
    for (const client of instance.hosts.filter((host) => host.kind === "client")) {
      await introduce(instance, client.name, access);
    }
    return pushAndPull(instance, access, path.join(images, "hello.tar"));
  });
  return { instance, access, env, digest, timings };
}

/** Nodes that a stack installed which was destroyed since: no key is left that opens them. */
async function reinstallStrangers(instance: Instance, env: Record<string, string>, say: Log): Promise<void> {
  // Guests went with the stack that made them.
  if (platformOf(instance) === "virtualbox") return;
  const installed = instance.hosts.filter((host) => host.kind === "node" && hostState(host) === "installed");
  if (installed.length === 0) return;
  const made = await madeHostKeys(env);
  for (const host of installed) {
    const { stdout } = await consoleRun(host, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"]);
    const shown = stdout.trim().split(/\s+/).slice(0, 2).join(" ");
    if (shown === "" || shown === made[host.name]) continue;
    say(`  ${host.name}: the stack that installed it is gone; booting its live installer`);
    await reinstall(instance, host);
  }
}

/** Builds the image archives and puts them where the stack's configuration names them. */
export async function imagesIn(folder: string, tools: Parameters<typeof buildImages>[0]): Promise<string> {
  const link = path.join(folder, ".images");
  const { minio, mc, registry } = tools;
  const there = fs.lstatSync(link, { throwIfNoEntry: false });
  if (there && !there.isSymbolicLink()) {
    throw new LabError(
      `${link} is a folder of your own, which stays as it is, and the lab's image archives are to be found by that name: rename it, and correct the paths that name it`,
    );
  }
  pointTo(link, await buildImages({ minio, mc, registry }));
  return link;
}

/** Without a terminal Pulumi's progress lines are plain text, and colours would be noise. */
function plainOptions(): string[] {
  const plain = process.stdout.isTTY ? [] : ["--color", "never"];
  return ["--yes", "--skip-preview", "--suppress-outputs", ...plain];
}

/** Puts what a user needs to reach nodes and registry into the lab's folder, which only root can read. */
export async function recordAccess(instance: Instance, env: Record<string, string>): Promise<RegistryAccess> {
  const out = await outputs(env);
  const key = path.join(instance.dir, "ssh", "login_key");
  if (textOf(out, "sshPrivateKey")) {
    writeAtomic(key, textOf(out, "sshPrivateKey"), 0o600);
    const nodes = out.nodes as Record<string, { readonly hostKey: string }>;
    for (const host of instance.hosts.filter((one) => one.kind === "node")) {
      const entry = { user: "core", hostKey: nodes[host.name]?.hostKey, identityFile: key };
      writeAtomic(accessFile(instance, host), JSON.stringify(entry), 0o600);
    }
  }
  writeAtomic(path.join(instance.dir, "ca.crt"), textOf(out, "caCertificate"));
  return accessFrom(out);
}

/** The registry's address and credentials, from the stack's outputs. */
export async function readAccess(instance: Instance, env: Record<string, string>): Promise<RegistryAccess> {
  const access = accessFrom(await outputs(env));
  if (access.host === "") {
    throw new LabError(`lab ${instance.number} has no registry yet: run make lab`);
  }
  return access;
}

/** The same, from outputs at hand; a text that is missing is empty. */
export function accessFrom(out: Record<string, unknown>): RegistryAccess {
  return {
    host: textOf(out, "registryUrl").replace(/^https:\/\//, ""),
    caCertificate: textOf(out, "caCertificate"),
    username: textOf(out, "username"),
    password: textOf(out, "password"),
  };
}

function textOf(out: Record<string, unknown>, key: string): string {
  const value = out[key];
  return typeof value === "string" ? value : "";
}
