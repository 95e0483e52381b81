/** skopeo as the client that pushes and pulls. */
import * as fs from "node:fs";
import * as path from "node:path";
import { run, writeAtomic } from "../../../lab/exec";
import type { Host } from "../../../lab/instance";
import type { Login } from "../../support/request";
import { pause } from "../../support/waiting";

/** skopeo's own further tries, after 1, 2 and 4 seconds. */
const RETRIES = 3;
const TIMEOUT_MS = 120_000;

export interface Copied {
  readonly ok: boolean;
  /** The client's own further tries. */
  readonly retries: number;
  /** Its last error, also if a further try succeeded. */
  readonly error?: string;
}

/** The outcome of a copy, by skopeo's exit code and output. */
export function outcomeOf(code: number, output: string): Copied {
  const retries = output.match(/Failed, retrying in/g)?.length ?? 0;
  const lines = output.trim().split("\n");
  const error = lines.filter((line) => /level=(warning|fatal|error)/.test(line)).at(-1) ?? lines.at(-1);
  return {
    ok: code === 0,
    retries,
    ...(code === 0 && retries === 0 ? {} : { error: error || `code ${code}` }),
  };
}

/** skopeo gives up a layer at once if its body ends early, or its connection is reset; Docker's client tries again. */
const gaveUpLayer = ({ ok, retries, error = "" }: Copied): boolean =>
  !ok && retries === 0 && /(reading|writing) blob\b.*(connection reset by peer|unexpected EOF)/.test(error);

/** Tries a layer again that skopeo gave up, after 1, 2 and 4 seconds, as Docker's client does. */
export async function asDocker(copy: () => Promise<Copied>, secondMs = 1000): Promise<Copied> {
  let copied = await copy();
  let { error } = copied;
  let more = 0;
  for (; more < RETRIES && gaveUpLayer(copied); more++) {
    await pause(2 ** more * secondMs);
    copied = await copy();
    error = copied.error ?? error;
  }
  const { ok, retries } = copied;
  return { ok, retries: retries + more, ...(error === undefined ? {} : { error }) };
}

const tagsIn = (printed: string): readonly string[] =>
  (JSON.parse(printed) as { readonly Tags?: readonly string[] }).Tags ?? [];

/** Its logins and the CA are in a folder that only root can read. */
export class Skopeo {
  private readonly registry: string;

  constructor(
    private readonly folder: string,
    { pushes, pulls }: { readonly pushes: Login; readonly pulls: Login },
  ) {
    this.registry = pushes.host;
    fs.mkdirSync(path.join(folder, "data"), { recursive: true, mode: 0o700 });
    writeAtomic(path.join(folder, "certs", "ca.crt"), pushes.ca);
    this.write("pushes", pushes);
    this.write("pulls", pulls);
  }

  /** Each push forgets which layers are in other repositories, and sends them again. */
  async push(client: Host, image: string, name: string): Promise<Copied> {
    const known = fs.mkdtempSync(path.join(this.folder, "known-"));
    const copy = ["copy", "--quiet", "--preserve-digests", "--dest-cert-dir", this.certificates];
    const command = [...copy, `dir:${image}`, `docker://${this.registry}/${name}`];
    try {
      return await asDocker(() => this.run(client, "pushes", command, known));
    } finally {
      fs.rmSync(known, { recursive: true, force: true });
    }
  }

  pull(client: Host, name: string, folder: string): Promise<Copied> {
    const copy = ["copy", "--quiet", "--preserve-digests", "--src-cert-dir", this.certificates];
    const command = [...copy, `docker://${this.registry}/${name}`, `dir:${folder}`];
    return asDocker(() => this.run(client, "pulls", command));
  }

  /** Lists the tags of a repository, and fails if one is missing. */
  async list(client: Host, repository: string, tag: string): Promise<Copied> {
    const command = ["list-tags", "--cert-dir", this.certificates, `docker://${this.registry}/${repository}`];
    const { stdout, ...listed } = await this.run(client, "pulls", command);
    return listed.ok && !tagsIn(stdout).includes(tag)
      ? { ...listed, ok: false, error: `${tag} is not in the list of tags` }
      : listed;
  }

  private get certificates(): string {
    return path.join(this.folder, "certs");
  }

  private write(name: "pushes" | "pulls", { host, username, password }: Login): void {
    const auth = Buffer.from(`${username}:${password}`).toString("base64");
    writeAtomic(
      path.join(this.folder, `${name}.json`),
      JSON.stringify({ auths: { [host]: { auth } } }),
      0o600,
    );
  }

  private async run(
    client: Host,
    login: "pushes" | "pulls",
    [verb = "", ...args]: readonly string[],
    known = path.join(this.folder, "data"),
  ): Promise<Copied & { readonly stdout: string }> {
    const auth = ["--retry-times", String(RETRIES), "--authfile", path.join(this.folder, `${login}.json`)];
    const command = ["skopeo", "--insecure-policy", verb, ...auth, ...args];
    const done = await run("ip", ["netns", "exec", client.netns, ...command], {
      // Keeps skopeo's cache of blobs out of /var/lib/containers.
      env: { _CONTAINERS_ROOTLESS_UID: "1000", XDG_DATA_HOME: known, TMPDIR: this.folder },
      timeoutMs: TIMEOUT_MS,
    });
    const { stdout } = done;
    return done.timedOut
      ? { ok: false, retries: 0, error: `not done after ${TIMEOUT_MS / 1000} s`, stdout }
      : { ...outcomeOf(done.code, done.output), stdout };
  }
}
