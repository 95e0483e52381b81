import * as fs from "node:fs";
import * as path from "node:path";
import { shellQuote } from "../../toolchain";
import { LabError, must } from "../exec";
import { hostNamed, type Host, type Instance } from "../instance";
import { openCommand } from "../ssh";

/** What a client needs to use the registry. */
export interface RegistryAccess {
  /** `host` or `host:port`, as in image names. */
  readonly host: string;
  readonly caCertificate: string;
  readonly username: string;
  readonly password: string;
}

/** Runs a shell line on a lab host, with `input` as its standard input. */
export async function onHost(instance: Instance, host: Host, line: string, input = ""): Promise<string> {
  const { argv } = await openCommand(instance, host, [line]);
  const [command, ...args] = argv;
  if (command === undefined) throw new LabError(`no way to reach ${host.name}`);
  return must(command, args, { input });
}

/** Makes a client trust the registry's CA, and logs it in. */
export async function introduce(instance: Instance, client: string, access: RegistryAccess): Promise<void> {
  const host = hostNamed(instance, client);
  const folder = `/etc/docker/certs.d/${access.host}`;
  await onHost(
    instance,
    host,
    `sudo mkdir -p ${folder} && sudo tee ${folder}/ca.crt >/dev/null`,
    access.caCertificate,
  );
  const login = `docker login --username ${access.username} --password-stdin ${access.host}`;
  await onHost(instance, host, login, access.password);
}

/** Pushes an image archive from one client and pulls it by digest on another. Gives back the digest. */
export async function pushAndPull(
  instance: Instance,
  access: RegistryAccess,
  archive: string,
): Promise<string> {
  const [pusher, puller] = instance.hosts.filter((host) => host.kind === "client");
  if (!pusher || !puller) throw new LabError("the lab has no two clients");
  const repository = `${access.host}/demo/${path.basename(archive, ".tar")}`;
  const loaded = await load(instance, pusher, archive);
  const pushed = await onHost(
    instance,
    pusher,
    `docker tag ${loaded} ${repository}:1 && docker push ${repository}:1`,
  );
  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed)?.[1];
  if (!digest) throw new LabError(`docker push told no digest: ${pushed.trim().split("\n").at(-1) ?? ""}`);
  const pulled = await onHost(instance, puller, `docker pull --quiet ${repository}@${digest}`);
  if (!pulled.includes(digest))
    throw new LabError(`${puller.name} pulled ${pulled.trim()} in place of ${digest}`);
  return digest;
}

/** Loads an image archive into a host's Docker, and gives back the image's name. */
export async function load(instance: Instance, host: Host, archive: string): Promise<string> {
  const { argv } = await openCommand(instance, host, ["docker load"]);
  const quoted = argv.map(shellQuote).join(" ");
  if (!fs.existsSync(archive)) throw new LabError(`${archive} is missing: run make lab, which builds it`);
  const said = await must("sh", ["-c", `${quoted} < ${shellQuote(archive)}`]);
  const name = /Loaded image(?: ID)?: (\S+)/.exec(said)?.[1];
  if (!name) throw new LabError(`docker load on ${host.name} said: ${said.trim()}`);
  return name;
}
