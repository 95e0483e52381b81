/** `skopeo`, as a client that pushes and pulls. */
import * as fs from "node:fs";
import * as path from "node:path";
import { run, writeAtomic } from "../../lab/exec";
import type { Host } from "../../lab/instance";
import type { RegistryAccess } from "../../lab/journey/push";

/** How often it tries again by itself, waiting 1, 2 and 4 seconds. */
const RETRIES = 3;
const TIMEOUT_MS = 120_000;

export interface Copied {
  readonly ok: boolean;
  /** How often it had to try again. */
  readonly retries: number;
  /** Its last error, also where a further try succeeded. */
  readonly error?: string;
}

/** How a copy went, by what `skopeo` said. */
export function outcomeOf(code: number, output: string): Copied {
  const retries = output.match(/Failed, retrying in/g)?.length ?? 0;
  const lines = output.trim().split("\n");
  // Without a level it is not its own, as where there is no such program.
  const error = lines.filter((line) => /level=(warning|fatal|error)/.test(line)).at(-1) ?? lines.at(-1);
  return {
    ok: code === 0,
    retries,
    ...(code === 0 && retries === 0 ? {} : { error: error || `code ${code}` }),
  };
}

/**
 * Whether it gave up a layer at once, where Docker's client asks again whatever the reason: a body that ends early, or a
 * connection that is reset before its first request was written, at which it has been seen to give up.
 */
const gaveUpLayer = ({ ok, retries, error = "" }: Copied): boolean =>
  !ok && retries === 0 && /(reading|writing) blob\b.*(connection reset by peer|unexpected EOF)/.test(error);

/** As Docker's client would, a copy that gave up a layer is begun again, after 1, 2 and 4 seconds. */
export async function asDocker(copy: () => Promise<Copied>, secondMs = 1000): Promise<Copied> {
  let copied = await copy();
  let { error } = copied;
  let more = 0;
  for (; more < RETRIES && gaveUpLayer(copied); more++) {
    await new Promise((resolve) => setTimeout(resolve, 2 ** more * secondMs));
    copied = await copy();
    error = copied.error ?? error;
  }
  const { ok, retries } = copied;
  return { ok, retries: retries + more, ...(error === undefined ? {} : { error }) };
}

/** What `skopeo list-tags` prints. */
export const tagsIn = (printed: string): readonly string[] =>
  (JSON.parse(printed) as { readonly Tags?: readonly string[] }).Tags ?? [];

export class Skopeo {
  private constructor(
    private readonly folder: string,
    readonly registry: string,
  ) {}

  /** Puts its login and the registry's CA into a folder that only root can read. */
  static prepare(folder: string, access: RegistryAccess): Skopeo {
    const auth = Buffer.from(`${access.username}:${access.password}`).toString("base64");
    const login = JSON.stringify({ auths: { [access.host]: { auth } } });
    fs.mkdirSync(path.join(folder, "data"), { recursive: true, mode: 0o700 });
    writeAtomic(path.join(folder, "auth.json"), login, 0o600);
    writeAtomic(path.join(folder, "certs", "ca.crt"), access.caCertificate);
    return new Skopeo(folder, access.host);
  }

  /** What it knew of layers in other repositories it would not send: each push knows of none. */
  async push(client: Host, image: string, name: string): Promise<Copied> {
    const certificates = ["--dest-cert-dir", path.join(this.folder, "certs")];
    const known = fs.mkdtempSync(path.join(this.folder, "known-"));
    try {
      const from = [`dir:${image}`, `docker://${this.registry}/${name}`];
      return await this.copy(client, [...certificates, ...from], known);
    } finally {
      fs.rmSync(known, { recursive: true, force: true });
    }
  }

  pull(client: Host, name: string, folder: string): Promise<Copied> {
    const certificates = ["--src-cert-dir", path.join(this.folder, "certs")];
    return this.copy(client, [...certificates, `docker://${this.registry}/${name}`, `dir:${folder}`]);
  }

  /** Asks for the tags of a repository, and fails where one of them is missing. */
  async list(client: Host, repository: string, tag: string): Promise<Copied> {
    const certificates = ["--cert-dir", path.join(this.folder, "certs")];
    const name = `docker://${this.registry}/${repository}`;
    const { stdout, ...listed } = await this.run(client, ["list-tags", ...certificates, name]);
    return listed.ok && !tagsIn(stdout).includes(tag)
      ? { ...listed, ok: false, error: `${tag} is not in the list of tags` }
      : listed;
  }

  private copy(client: Host, args: readonly string[], known?: string): Promise<Copied> {
    const flags = ["--quiet", "--preserve-digests"];
    return asDocker(() => this.run(client, ["copy", ...flags, ...args], known));
  }

  private async run(
    client: Host,
    [verb = "", ...args]: readonly string[],
    known = path.join(this.folder, "data"),
  ): Promise<Copied & { readonly stdout: string }> {
    const login = ["--retry-times", String(RETRIES), "--authfile", path.join(this.folder, "auth.json")];
    const command = ["skopeo", "--insecure-policy", verb, ...login, ...args];
    const done = await run("ip", ["netns", "exec", client.netns, ...command], {
      // What it knows of blobs lies in the lab's folder, and not in the machine's /var/lib/containers.
      env: {
        _CONTAINERS_ROOTLESS_UID: "1000",
        XDG_DATA_HOME: known,
        TMPDIR: this.folder,
      },
      timeoutMs: TIMEOUT_MS,
    });
    const { stdout } = done;
    return done.timedOut
      ? { ok: false, retries: 0, error: `not done after ${TIMEOUT_MS / 1000} s`, stdout }
      : { ...outcomeOf(done.code, done.output), stdout };
  }
}
