/** docker-bench-security's chapter on Swarm: what docs/security.md says of each check, and what a running Swarm shows. */
import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { parse } from "yaml";
import { checkout } from "../../lab/instance";
import type { TestLab } from "./testLab";

export type Verdict = "yes" | "no" | "optional";

/** A row of the page's table. */
export interface Check {
  readonly number: string;
  readonly what: string;
  readonly holds: string;
  readonly why: string;
}

export function checksIn(text: string): Check[] {
  const [, section = ""] = text.split(/^## docker-bench-security.*$/m);
  return section.split("\n").flatMap((line) => {
    const [, first = "", holds = "", why = ""] = line.split("|").map((cell) => cell.trim());
    const [, number, what = ""] = /^(7\.\d+) (.+)$/.exec(first) ?? [];
    return number === undefined ? [] : [{ number, what, holds, why }];
  });
}

export const documentedChecks = (): Check[] =>
  checksIn(fs.readFileSync(path.join(checkout(), "docs/security.md"), "utf8"));

/** What a manager and its configuration say. */
export interface SwarmFacts {
  /** Of `docker info`. */
  readonly info: {
    readonly LocalNodeState: string;
    readonly Managers: number;
    readonly Cluster: {
      readonly Spec: {
        readonly CAConfig: { readonly NodeCertExpiry: number };
        readonly EncryptionConfig: { readonly AutoLockManagers: boolean };
      };
    };
  };
  readonly leaders: number;
  /** Local addresses that Swarm's port is bound to. */
  readonly bound: readonly string[];
  /** Overlay networks but Docker's own `ingress`. */
  readonly overlays: readonly { readonly Name: string; readonly Options?: Record<string, string> | null }[];
  /** How each published port is published. */
  readonly published: readonly string[];
  readonly secrets: number;
  /** Lines of the manager's own files that replace a key or a certificate. */
  readonly replacing: string;
  /** The authority's certificate, in PEM form. */
  readonly authority: string;
  /** Empty where data go the way of all else. */
  readonly dataPath: string;
  readonly configured: {
    readonly managers: number;
    readonly encrypted: boolean;
    readonly autolock: boolean;
    readonly dataPath: string;
  };
}

const DAY = 24 * 3600;
const SWARM_PORT = 2377;

/** By the check's number. `optional` is what is as its setting says. */
export function verdicts(facts: SwarmFacts): Record<string, Verdict> {
  const { info, bound, configured, replacing } = facts;
  const { CAConfig, EncryptionConfig } = info.Cluster.Spec;
  const when = (holds: boolean): Verdict => (holds ? "yes" : "no");
  const asSet = (set: boolean, holds: boolean): Verdict => (set ? "optional" : when(holds));
  const everywhere = /^(\*|0\.0\.0\.0|\[::\]):/;
  const encrypted = facts.overlays.every(({ Options }) => Options?.["encrypted"] !== undefined);
  const byHost = facts.published.length > 0 && facts.published.every((mode) => mode === "host");
  const { validFrom, validTo } = new X509Certificate(facts.authority);
  const lasts = (Date.parse(validTo) - Date.parse(validFrom)) / 1000 / DAY;
  const renewed = CAConfig.NodeCertExpiry / 1e9 / DAY;
  return {
    "7.1": when(info.LocalNodeState === "inactive"),
    "7.2": when(info.Managers === configured.managers && info.Managers % 2 === 1 && facts.leaders === 1),
    "7.3": when(bound.length > 0 && !bound.some((local) => everywhere.test(local))),
    "7.4": when(byHost && (encrypted || !configured.encrypted)),
    "7.5": when(facts.secrets > 3),
    "7.6": asSet(
      EncryptionConfig.AutoLockManagers === configured.autolock,
      EncryptionConfig.AutoLockManagers,
    ),
    "7.7": when(/unlock-key --rotate/.test(replacing)),
    "7.8": when(renewed > 0 && renewed <= 90),
    "7.9": when(/swarm ca --rotate/.test(replacing) || lasts < 2 * 365),
    "7.10": asSet(facts.dataPath === configured.dataPath, facts.dataPath !== ""),
  };
}

interface Configured {
  readonly "moorage:network"?: { readonly overlay?: { readonly encrypted?: boolean } };
  readonly "moorage:swarm"?: { readonly autolock?: boolean };
  readonly "moorage:nodes": Readonly<
    Record<string, { readonly roles: readonly string[]; readonly dataPathAddr?: string }>
  >;
}

/** Asks one of the lab's managers. */
export async function swarmFacts(lab: TestLab, node: string): Promise<SwarmFacts> {
  const ask = async (line: string): Promise<string> => (await lab.mustRoot(node, line)).trim();
  const json = async (line: string): Promise<unknown> => JSON.parse(await ask(line));
  const { config } = parse(lab.stackFile()) as { config: Configured };
  const services = (await json("docker service ls -q | xargs docker service inspect")) as {
    Endpoint: { Ports?: { PublishMode: string }[] };
  }[];
  const overlays = (await json(
    "docker network ls -q --filter driver=overlay | xargs docker network inspect",
  )) as { Name: string; Ingress: boolean; Options?: Record<string, string> | null }[];
  const listeners = (await ask("ss -H -l -n -t")).split("\n").map((line) => line.split(/\s+/)[3] ?? "");
  const { AdvertiseAddr = "", DataPathAddr = "" } = (await json(
    "cat \"$(docker info --format '{{.DockerRootDir}}')/swarm/docker-state.json\"",
  )) as { AdvertiseAddr?: string; DataPathAddr?: string };
  const nodes = config["moorage:nodes"];
  return {
    info: (await json("docker info --format '{{json .Swarm}}'")) as SwarmFacts["info"],
    leaders: (await ask("docker node ls")).split("Leader").length - 1,
    bound: listeners.filter((local) => local.endsWith(`:${SWARM_PORT}`)),
    overlays: overlays.filter(({ Ingress }) => !Ingress),
    published: services.flatMap(({ Endpoint }) => Endpoint.Ports ?? []).map(({ PublishMode }) => PublishMode),
    secrets: (await ask("docker secret ls -q")).split("\n").filter(Boolean).length,
    replacing: await ask("grep -rhsE '(unlock-key|swarm ca) --rotate' /etc /var/spool/cron; true"),
    authority: await ask("docker swarm ca"),
    // Where none is given, Docker notes the address that it advertises.
    dataPath: AdvertiseAddr.replace(/:\d+$/, "") === DataPathAddr ? "" : DataPathAddr,
    configured: {
      managers: Object.values(nodes).filter(({ roles }) => roles.includes("manager")).length,
      encrypted: config["moorage:network"]?.overlay?.encrypted ?? true,
      autolock: config["moorage:swarm"]?.autolock ?? false,
      dataPath: nodes[node]?.dataPathAddr ?? "",
    },
  };
}
