/** A verification as an operator reads it: pure, from the report to the text. */
import {
  checksOf,
  type Check,
  type EtcdMemberRow,
  type OverlayRow,
  type Report,
  type SwarmRow,
} from "@moorage/hosts";

export interface VerifyTextOptions {
  /** The overlay as each node sees it. */
  readonly verbose: boolean;
  /** Whole ids. */
  readonly full: boolean;
}

const SHORT = 12;
const SUBJECTS: Readonly<Record<string, string>> = {
  etcd: "etcd",
  swarm: "Swarm",
  services: "Services",
  storage: "Object store",
  certificates: "Certificates",
  registry: "Registry",
};

export function verifyText(report: Report, options: VerifyTextOptions): string {
  const nodes = Object.entries(report.nodes).map(([name, { address, role, checks }]) =>
    section(`${name}  ${address}  ${role}`, checkLines(checks)),
  );
  const subjects = Object.entries(report.subjects)
    .filter(([, checks]) => checks.length > 0)
    .map(([name, checks]) =>
      section(SUBJECTS[name] ?? name, [...checkLines(checks), ...tablesOf(name, report, options)]),
    );
  return [`Stack ${report.stack}, ${report.at}`, ...nodes, ...subjects, summary(report)].join("\n\n") + "\n";
}

function section(title: string, lines: readonly string[]): string {
  return [title, ...lines.map((line) => (line === "" ? "" : `  ${line}`))].join("\n");
}

function checkLines(checks: readonly Check[]): string[] {
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  return checks.flatMap(({ name, green, detail, more = [] }) => [
    `${green ? "green" : "red  "}  ${name.padEnd(width)}  ${detail}`.trimEnd(),
    ...more.map((line) => `         ${line}`.trimEnd()),
  ]);
}

function tablesOf(subject: string, report: Report, options: VerifyTextOptions): string[] {
  switch (subject) {
    case "etcd":
      return [...spaced(memberTable(report.etcdMembers)), ...spaced(sendTable(report.etcdMembers))];
    case "swarm":
      return [
        ...spaced(swarmTable(report.swarmNodes, options.full)),
        ...(options.verbose ? report.overlay.flatMap((row) => spaced(overlayLines(row, options.full))) : []),
      ];
    default:
      return [];
  }
}

const spaced = (lines: readonly string[]): string[] => (lines.length > 0 ? ["", ...lines] : []);

function memberTable(members: readonly EtcdMemberRow[]): string[] {
  if (members.length === 0) return [];
  return table(
    ["MEMBER", "ID", "LEADER", "PEER URL", "CLIENT URL", "VERSION", "SIZE", "TERM", "INDEX"],
    members.map(({ name, id, leader, peerUrls, clientUrls, version = "—", dbBytes, raftTerm, raftIndex }) => [
      name || "(not started)",
      id,
      leader ? "yes" : "",
      peerUrls.join(","),
      clientUrls.join(",") || "—",
      version,
      dbBytes === undefined ? "—" : size(dbBytes),
      String(raftTerm ?? "—"),
      String(raftIndex ?? "—"),
    ]),
  );
}

function sendTable(members: readonly EtcdMemberRow[]): string[] {
  const rows = members.flatMap(({ name, sends }) =>
    sends.map(({ to, latencyMs, sentBytes, failed }) => [
      name,
      to,
      latencyMs === undefined ? "—" : `${latencyMs.toFixed(1)} ms`,
      size(sentBytes),
      String(failed),
    ]),
  );
  return rows.length === 0 ? [] : table(["FROM", "TO", "LATENCY", "SENT", "FAILED SENDS"], rows);
}

function swarmTable(nodes: readonly SwarmRow[], full: boolean): string[] {
  if (nodes.length === 0) return [];
  return table(
    ["NODE", "ID", "ADDRESS", "ROLE", "LEADER", "AVAILABILITY", "STATE", "LABELS"],
    nodes.map(({ name, id, address, role, leader, availability, state, labels }) => [
      name,
      short(id, full),
      address,
      role,
      leader ? "yes" : "",
      availability,
      state,
      labelsOf(labels, full),
    ]),
  );
}

/** Our own labels say again what the configuration's roles say. */
function labelsOf(labels: Readonly<Record<string, string>>, full: boolean): string {
  const shown = Object.entries(labels).filter(([key]) => full || !key.startsWith("moorage."));
  return shown
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
}

function overlayLines(
  { node, id, subnet, encrypted, peers, containers }: OverlayRow,
  full: boolean,
): string[] {
  const names = Object.entries(containers);
  const width = Math.max(0, ...names.map(([name]) => shortTask(name, full).length));
  return [
    `overlay on ${node}: ${short(id, full)}  ${subnet}${encrypted ? "  encrypted" : ""}`,
    `  peers  ${peers.join(", ") || "none"}`,
    ...names.map(([name, address]) => `  ${shortTask(name, full).padEnd(width)}  ${address}`.trimEnd()),
  ];
}

/** A task's container is named SERVICE.SLOT.ID. */
const shortTask = (name: string, full: boolean): string =>
  full ? name : name.replace(/\.[a-z0-9]{25}$/, "");
const short = (id: string, full: boolean): string => (full ? id : id.slice(0, SHORT));

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_title, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const [value, unit] = bytes < 1024 ** 2 ? [bytes / 1024, "KiB"] : [bytes / 1024 ** 2, "MiB"];
  return `${value.toFixed(1)} ${unit}`;
}

function summary(report: Report): string {
  const checks = checksOf(report);
  const red = checks.filter(([, check]) => !check.green);
  const took = `${checks.length} checks in ${report.seconds} s`;
  if (red.length === 0) return `All green: ${took}`;
  return [
    `${red.length} red of ${took}:`,
    ...red.map(([where, { name, detail }]) => `  ${where}, ${name}: ${detail}`),
  ].join("\n");
}
