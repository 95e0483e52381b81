/** One node: its units, its Docker, its clock, its certificates, and the overlay as it sees it. */
import { X509Certificate } from "node:crypto";
import { HostError, reasonOf } from "../errors";
import { lookAtNode, type Facts } from "../etcd/look";
import { skewOf } from "../preflight";
import { ETCD_UNIT } from "../rendered";
import { brief } from "../ssh/connect";
import { runScript } from "../ssh/exec";
import { within } from "../time";
import { healingCheck } from "./healing";
import { nodeScript } from "./node-script";
import type { RecordedNode, RecordedStack } from "./recorded";
import type { Check, OverlayRow } from "./report";

/** However it hangs, a node holds the others up no longer than this. */
const NODE_SECONDS = 25;
const MAXIMUM_SKEW = 5;
/** Some write whole objects into the journal. */
const LONGEST_LINE = 240;
/** Certificates are renewed 90 days before they end, by the next \`pulumi up\`; this late none was run. */
export const EXPIRY_DAYS = 14;
export const OVERLAY = "services";

export interface NodeFindings {
  readonly checks: readonly Check[];
  readonly overlay?: OverlayRow;
  /** Of the node that sees to what its drives miss. */
  readonly healing?: Check;
}

/** Nothing where they are. */
function outdatedChecks({ outdated }: RecordedNode): Check[] {
  const parts = outdated.join(", ");
  const detail = `not those of the last update (${parts}): run \`pulumi up\`, with --refresh after a change by hand`;
  return outdated.length === 0 ? [] : [{ name: "files", green: false, detail }];
}

export async function verifyNode(node: RecordedNode, { etcd }: RecordedStack): Promise<NodeFindings> {
  try {
    return await within(
      NODE_SECONDS,
      look(node, etcd),
      () =>
        new HostError(
          node.name,
          `not looked at within ${NODE_SECONDS} s: see on its console whether it hangs`,
        ),
    );
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return {
      checks: [
        { name: "reached", green: false, detail: reasonOf(error, error.node) },
        ...outdatedChecks(node),
      ],
    };
  }
}

async function look(node: RecordedNode, etcd: RecordedStack["etcd"]): Promise<NodeFindings> {
  const options = { sudo: true, patience: brief, timeoutSeconds: 20, purpose: "looking at the node" };
  // A session first, so that the clock is not read over the time a connection takes.
  await runScript(node.connection, ":", [], options);
  const before = Date.now() / 1000;
  const { stdout } = await runScript(node.connection, nodeScript, [OVERLAY, ...node.units], options);
  const after = Date.now() / 1000;
  const found = parseNode(stdout);
  if (!found.complete) throw new HostError(node.name, "it did not finish looking at itself");
  const member = etcd?.members[node.name];
  const facts =
    member && etcd ? await lookAtNode(member, etcd.script).catch((error: Error) => error) : undefined;
  const { overlay, healing } = found;
  return {
    checks: [
      clockCheck(skewOf(found, before, after)),
      ...found.units.map((unit) => unitCheck(unit, unit.name === ETCD_UNIT ? facts : undefined)),
      dockerCheck(found.docker),
      ...outdatedChecks(node),
      ...found.certificates.map(certificateCheck),
    ],
    ...(overlay === undefined ? {} : { overlay: { node: node.name, ...overlay } }),
    ...(healing.length === 0 ? {} : { healing: healingCheck(healing, found.now) }),
  };
}

interface Unit {
  readonly name: string;
  readonly active: string;
  readonly sub: string;
  readonly result: string;
  readonly restarts: number;
  readonly type: string;
  readonly journal: readonly string[];
}

interface Found {
  readonly now: number;
  readonly units: readonly Unit[];
  readonly docker: { readonly version: string; readonly swarm: string };
  readonly overlay?: Omit<OverlayRow, "node">;
  readonly certificates: readonly { readonly file: string; readonly pem: string }[];
  readonly healing: readonly string[];
  readonly complete: boolean;
}

export function parseNode(output: string): Found {
  const lines = output.split("\n");
  const all = (key: string) =>
    lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
  const one = (key: string) => all(key)[0] ?? "";
  const journal = all("journal");
  const [version = "", swarm = ""] = one("docker").split(" ");
  return {
    now: Number(one("now")),
    units: all("unit").map((line) => {
      const [name = "", active = "", sub = "", result = "", restarts = "0", type = ""] = line.split(" ");
      const own = journal.filter((entry) => entry.startsWith(`${name} `));
      const said = own.map((entry) => entry.slice(name.length + 1).slice(0, LONGEST_LINE));
      return { name, active, sub, result, restarts: Number(restarts), type, journal: said };
    }),
    docker: { version, swarm },
    overlay: parseOverlay(one("overlay")),
    certificates: all("certificate").map((line) => {
      const [file = "", content = ""] = line.split(" ");
      return { file, pem: Buffer.from(content, "base64").toString("utf8") };
    }),
    healing: all("healing"),
    complete: one("end") === "yes",
  };
}

interface RawNetwork {
  readonly Id?: string;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string }[] | null };
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Peers?: readonly { readonly Name?: string; readonly IP?: string }[] | null;
  readonly Containers?: Readonly<
    Record<string, { readonly Name?: string; readonly IPv4Address?: string }>
  > | null;
}

/** A node without a task on the network does not know it, which is no mistake. */
function parseOverlay(text: string): Omit<OverlayRow, "node"> | undefined {
  if (text === "") return undefined;
  const { Id, IPAM, Options, Peers, Containers } = JSON.parse(text) as RawNetwork;
  const containers = Object.values(Containers ?? {}).map(
    ({ Name = "", IPv4Address = "" }) => [Name, IPv4Address] as const,
  );
  return {
    id: Id ?? "",
    subnet: IPAM?.Config?.[0]?.Subnet ?? "",
    encrypted: Options?.["encrypted"] !== undefined,
    peers: (Peers ?? []).map(({ IP = "" }) => IP).sort(),
    containers: Object.fromEntries(containers.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

export function clockCheck(skew: number): Check {
  const green = Math.abs(skew) <= MAXIMUM_SKEW;
  const side = skew > 0 ? "ahead of" : "behind";
  const off = `${Math.abs(skew).toFixed(1)} s ${side} this machine's`;
  const advice = `${off}, more than ${MAXIMUM_SKEW} s: set up time sync on both (timedatectl)`;
  return { name: "clock", green, detail: green ? "agrees with this machine's" : advice };
}

/** etcd's unit runs, and waits, also while its member has nothing to run with. */
export function unitCheck(unit: Unit, etcd: Facts | Error | undefined): Check {
  const { name, active, sub, result, restarts } = unit;
  const waits = etcd && !(etcd instanceof Error) && etcd.data !== true ? waiting(etcd) : undefined;
  // One that a timer runs is inactive between two runs.
  const runs = unit.type === "oneshot" && active !== "failed" && result === "success";
  const green = (active === "active" || runs) && waits === undefined;
  const counted = restarts === 0 ? "" : restarts === 1 ? ", restarted once" : `, restarted ${restarts} times`;
  const state = `${active} (${sub})${counted}`;
  if (green) return { name, green, detail: state };
  const failed = result === "success" || active === "active" ? "" : `, result ${result}`;
  return {
    name,
    green,
    detail: waits ?? `${state}${failed}`,
    more: [...unit.journal, `more: journalctl -b -u ${name}`],
  };
}

function waiting({ data, initial }: Facts): string {
  if (data === undefined) return "its data disk is not mounted";
  if (initial !== "") return "its member starts for the first time, and has no data yet";
  return "its member has no data and waits to be added: `pulumi up --refresh` replaces it";
}

function dockerCheck({ version, swarm }: Found["docker"]): Check {
  if (version === "") {
    const more = ["more: systemctl status docker; journalctl -b -u docker"];
    return { name: "docker", green: false, detail: "its Docker does not answer", more };
  }
  const green = swarm === "active";
  const state = green ? "in the Swarm" : `not in the Swarm (${swarm || "unknown"}): run \`pulumi up\``;
  return { name: "docker", green, detail: `${version}, ${state}` };
}

function certificateCheck({ file, pem }: Found["certificates"][number]): Check {
  return expiryCheck(file, pem);
}

export function expiryCheck(name: string, pem: string, now = Date.now()): Check {
  const end = Date.parse(new X509Certificate(pem).validTo);
  const days = Math.floor((end - now) / 86_400_000);
  const green = days >= EXPIRY_DAYS;
  const until = new Date(end).toISOString().slice(0, 10);
  const text = days < 0 ? `expired on ${until}` : `valid for ${days} more days, until ${until}`;
  return { name, green, detail: green ? text : `${text}: run \`pulumi up\`, which renews it` };
}
