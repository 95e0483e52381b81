import type { Check, Report } from "@moorage/hosts";
import { it } from "vitest";
import { verifyText } from "../../ops/verifyText";
import { expectGolden, expectVariant } from "./golden";

const green = (name: string, detail: string): Check => ({ name, green: true, detail });
const red = (name: string, detail: string, ...more: string[]): Check => ({ name, green: false, detail, more });

const swarmNode = (at: number, changes: Partial<Report["swarmNodes"][number]> = {}) => ({
  id: `tzqq8w1v0b4n7s5r2x9k3m6p${at}`,
  name: `coreos${at}`,
  address: `10.0.2.1${at}`,
  role: at < 4 ? "manager" : "worker",
  leader: at === 1,
  availability: "active",
  state: "ready",
  labels: { region: "dc1", public_ip: `10.0.2.1${at}`, "moorage.node": `coreos${at}`, "moorage.storage": "true" },
  ...changes,
});

const member = (at: number, changes: Partial<Report["etcdMembers"][number]> = {}) => ({
  id: `8e9e05c52164694${at}`,
  name: `coreos${at}`,
  peerUrls: [`https://10.0.2.1${at}:2380`],
  clientUrls: [`https://10.0.2.1${at}:2379`],
  leader: at === 1,
  version: "3.5.30",
  dbBytes: 20_480,
  raftTerm: 2,
  raftIndex: 1200 + at,
  sends: [1, 2, 3]
    .filter((other) => other !== at)
    .map((other) => ({ to: `coreos${other}`, latencyMs: other / 2, sentBytes: 1_500_000 * other, failed: 0 })),
  ...changes,
});

const overlay = (at: number) => ({
  node: `coreos${at}`,
  id: "k5v8n2m4c6x7z1l3j9h0g5f4d",
  subnet: "10.20.1.0/24",
  encrypted: true,
  peers: ["10.0.2.11", "10.0.2.12"],
  containers: { "registry-coreos1.1.abcdefghijklmnopqrstuvwxy": "10.20.1.4/24", "services-endpoint": "10.20.1.2/24" },
});

const whole: Report = {
  stack: "dev",
  at: "2026-02-12T20:18:48.000Z",
  seconds: 3.4,
  green: true,
  nodes: {
    coreos1: {
      address: "10.0.2.11",
      role: "manager",
      checks: [
        green("clock", "agrees with this machine's"),
        green("docker.service", "active (running)"),
        green("moorage-etcd.service", "active (running)"),
        green("docker", "28.5.2, in the Swarm"),
        green("/etc/moorage/etcd/member.pem", "valid for 364 more days, until 2027-02-11"),
      ],
    },
    coreos4: { address: "10.0.2.14", role: "worker", checks: [green("docker.service", "active (running)")] },
  },
  subjects: {
    etcd: [
      green("endpoint health --cluster", "asked on coreos1: https://10.0.2.11:2379 9.1ms"),
      green("members", "3 of 3 members serve, coreos1 leads"),
    ],
    swarm: [green("nodes", "4 of 4 ready and active"), green("overlay", "10.20.1.0/24, encrypted, known to 4 nodes")],
    services: [green("minio-coreos1", "1 of 1 run"), green("nginx", "4 of 4 run")],
    storage: [
      green("coreos1", "MinIO runs, write quorum"),
      green("healing", "all 4 drives hold everything, healed at 2026-02-12T19:02:11Z"),
    ],
    certificates: [green("authority", "valid for 3649 more days, until 2036-02-10")],
    registry: [green("push and pull", `sha256:${"ab".repeat(32)} pushed and pulled in 210 ms`)],
  },
  etcdMembers: [1, 2, 3].map((at) => member(at)),
  swarmNodes: [1, 2, 3, 4].map((at) => swarmNode(at)),
  overlay: [overlay(1), overlay(2)],
};

it("all green", () => {
  expectGolden("verify-green.txt", verifyText(whole, { verbose: false, full: false }));
});

it("all green, with all there is", () => {
  const brief = verifyText(whole, { verbose: false, full: false });
  expectVariant("verify-verbose.txt", brief, verifyText(whole, { verbose: true, full: true }));
});

it("with reds", () => {
  const report: Report = {
    ...whole,
    green: false,
    nodes: {
      ...whole.nodes,
      coreos2: {
        address: "10.0.2.12",
        role: "manager",
        checks: [
          green("docker.service", "active (running)"),
          red(
            "moorage-etcd.service",
            "its member has no data and waits to be added: `pulumi up --refresh` replaces it",
            "no data here: waiting for pulumi up, which forms the cluster or adds this member to it",
            "more: journalctl -b -u moorage-etcd.service",
          ),
        ],
      },
      coreos3: {
        address: "10.0.2.13",
        role: "manager",
        checks: [red("reached", "no SSH connection to core@127.0.0.1:2013 after 1 attempt: connect ECONNREFUSED")],
      },
    },
    subjects: {
      ...whole.subjects,
      etcd: [red("members", "1 of 3 members serve", "coreos2: does not listen on 10.0.2.12:2379", "no quorum")],
      services: [red("nginx", "3 of 4 run", "more: docker service ps --no-trunc nginx")],
    },
    etcdMembers: [member(1), { ...member(2), name: "", clientUrls: [], leader: false, sends: [], version: undefined, dbBytes: undefined, raftTerm: undefined, raftIndex: undefined }],
    swarmNodes: [swarmNode(1), swarmNode(3, { state: "down, manager unreachable" })],
  };
  expectGolden("verify-red.txt", verifyText(report, { verbose: false, full: false }));
});

it("a stack without etcd that could not be asked", () => {
  const nothing: Report = {
    ...whole,
    green: false,
    nodes: {},
    subjects: { swarm: [red("nodes", "no manager in reach for listing nodes:", "coreos1: off")] },
    etcdMembers: [],
    swarmNodes: [],
    overlay: [],
  };
  expectGolden("verify-nothing.txt", verifyText(nothing, { verbose: true, full: false }));
});
