/** A storage node whose MinIO has users, policies and buckets, as far as `mc` is asked for them. */
import type { Duplex } from "node:stream";
import type { Connection } from "../../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../../hosts/src/docker/api";
import { frame, startDocker, type Seen } from "./fake-docker";
import { startServer } from "./stop";

interface Policy {
  readonly Statement: readonly { readonly Action: readonly string[] }[];
}
interface User {
  secret: string;
  policies: string[];
  status: "enabled" | "disabled";
}
interface Asked {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly hasInput: boolean;
  code: number;
}
interface Answer {
  readonly out?: string;
  readonly err?: string;
}

const root = { user: "root-user", password: "root-password" };
const refused = (err: string): Answer => ({ err: `mc: <ERROR> ${err}` });

export class FakeMinio {
  readonly buckets = new Set<string>();
  readonly policies = new Map<string, Policy>();
  readonly users = new Map<string, User>();
  readonly asked: Asked[] = [];
  /** What every command ends with, where it is set. */
  trouble: string | undefined;

  /** What `mc` was asked for, one a line, without its options. */
  get lines(): string[] {
    return this.asked.map(({ argv }) => argv.slice(3).join(" "));
  }

  /** Whether a registry with these keys may do what registries do. */
  serves(access: string, secret: string): boolean {
    const user = this.users.get(access);
    const isRight = user?.secret === secret && user.status === "enabled";
    return isRight && user.policies.some((name) => this.policies.has(name));
  }

  async start(): Promise<Connection> {
    const docker = await startDocker();
    docker.on("GET", /^\/containers\/json$/, () => ({ json: [{ Id: "minio", Created: 1 }] }));
    docker.on("POST", /^\/containers\/minio\/exec$/, ({ body }) => {
      const { Cmd, Env, AttachStdin } = JSON.parse(body) as {
        Cmd: string[];
        Env: string[];
        AttachStdin: boolean;
      };
      this.asked.push({ argv: Cmd, env: Env, hasInput: AttachStdin, code: 0 });
      return { json: { Id: String(this.asked.length - 1) } };
    });
    const at = (path: string) => this.asked[Number(path.split("/")[2])] as Asked;
    docker.on("GET", /^\/exec\/\d+\/json$/, ({ path }) => ({ json: { ExitCode: at(path).code } }));
    docker.onUpgrade = ({ path, body }: Seen, socket) => void this.run(at(path), body, socket);
    return (await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } })).connection();
  }

  private async run(asked: Asked, begun: string, socket: Duplex): Promise<void> {
    let input = begun;
    if (asked.hasInput) for await (const chunk of socket) input += String(chunk);
    // What Docker itself is told stands before it.
    const { out = "", err = "" } = this.answer(asked, input.replace(/^\{"Detach":[^}]*\}/, ""));
    asked.code = err === "" ? 0 : 1;
    socket.end(Buffer.concat([frame(1, out), frame(2, err)]));
  }

  private answer({ argv, env }: Asked, input: string): Answer {
    if (this.trouble !== undefined) return refused(this.trouble);
    const words = argv.slice(3).filter((word) => !word.startsWith("--"));
    const [, user = "", password = ""] =
      /^MC_HOST_local=http:\/\/(.*?):(.*)@/.exec(env.find((one) => one.startsWith("MC_HOST")) ?? "") ?? [];
    const isRoot = user === root.user && password === root.password;
    if (words[0] === "ready") return {};
    if (words[0] === "ls") return this.login(user, password);
    if (!isRoot) return refused("Access Denied.");
    return words[0] === "admin" ? this.administer(words.slice(1), input) : this.handle(words);
  }

  private login(access: string, secret: string): Answer {
    if (this.serves(access, secret)) return {};
    const user = this.users.get(access);
    if (!user) return refused("The Access Key Id you provided does not exist in our records.");
    return refused(
      user.secret === secret ? "Access Denied." : "The request signature we calculated does not match.",
    );
  }

  private handle([verb = "", target = ""]: readonly string[]): Answer {
    const name = target.split("/")[1] ?? "";
    if (verb === "mb") this.buckets.add(name);
    else if (!this.buckets.has(name)) return refused(`Bucket \`${name}\` does not exist.`);
    else if (verb === "rb") this.buckets.delete(name);
    return {};
  }

  private administer([what, verb, , name = "", more = ""]: readonly string[], input: string): Answer {
    return what === "user" ? this.user(verb, name, input) : this.policy(verb, name, more, input);
  }

  private user(verb: string | undefined, name: string, input: string): Answer {
    const shown = ([accessKey, { policies, status }]: [string, User]) =>
      JSON.stringify({ status: "success", accessKey, policyName: policies.join(","), userStatus: status });
    if (verb === "list") return { out: [...this.users].map((one) => `${shown(one)}\n`).join("") };
    const user = this.users.get(name);
    if (verb === "add")
      this.users.set(name, { policies: user?.policies ?? [], secret: input.trim(), status: "enabled" });
    else if (!user) return refused("The specified user does not exist. (The specified user does not exist)");
    else if (verb === "remove") this.users.delete(name);
    else return { out: shown([name, user]) };
    return {};
  }

  private policy(verb: string | undefined, name: string, user: string, input: string): Answer {
    const policy = this.policies.get(name);
    if (verb === "create") this.policies.set(name, JSON.parse(input) as Policy);
    else if (!policy) return refused("The canned policy does not exist.");
    else if (verb === "attach") this.users.get(user)?.policies.push(name);
    else if (verb === "info")
      return { out: JSON.stringify({ policyInfo: { PolicyName: name, Policy: reordered(policy) } }) };
    else if ([...this.users.values()].some(({ policies }) => policies.includes(name)))
      return refused("The specified policy is in use and cannot be deleted.");
    else this.policies.delete(name);
    return {};
  }
}

/** As MinIO keeps it. */
function reordered({ Statement, ...rest }: Policy): unknown {
  return {
    ...rest,
    Statement: Statement.map((one) => ({ ...one, Action: [...one.Action].sort() })).reverse(),
  };
}
