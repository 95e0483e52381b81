/** What a configuration may have, and an operator should know of at every update. */
import { namesWithoutServers } from "./names";
import type { StackConfig } from "./stack";

export function warningsOf(config: StackConfig): string[] {
  return [...nameWarnings(config), ...updateWarnings(config), ...containerLinuxWarnings(config)];
}

/** No mistake for sure: a machine's live system, or a file of one's own, may know a name server. */
function nameWarnings(config: StackConfig): string[] {
  const asking = namesWithoutServers(config);
  if (asking.length === 0) return [];
  return [
    `network.dns: found []; wanted the addresses of name servers: nodes have none, and these ask for a name: ${asking.join(", ")}`,
  ];
}

/** locksmithd speaks the API of etcd 2, which is off in the etcd of this program, as is HTTP without TLS. */
function updateWarnings({ os, platform }: StackConfig): string[] {
  if (platform === "existing" || os.updateStrategy !== "etcd-lock") return [];
  if (os.containerLinux?.etcd2 || os.units["locksmithd.service"]) return [];
  return [
    "os.updateStrategy: found etcd-lock; wanted an etcd with the API v2 at http://127.0.0.1:2379 of each node, which the " +
      "one of etcd.enabled is not: without it no update is ever booted. Name one by a drop-in of locksmithd.service in " +
      "os.units (LOCKSMITHD_ENDPOINT), or choose off or reboot",
  ];
}

/** What its script coreos-tmpfiles copies from the read-only /usr, where useradd changes nothing. */
const containerLinuxGroups = ["docker", "sudo", "wheel"];

function groupWarnings({ os }: StackConfig): string[] {
  return Object.entries(os.users).flatMap(([name, { groups }]) => {
    const others = groups.filter((group) => !containerLinuxGroups.includes(group));
    if (others.length === 0) return [];
    return [
      `os.users.${name}.groups: found ${others.join(", ")}; wanted of ${containerLinuxGroups.join(", ")}: Container Linux ` +
        "puts users into no group of its /usr, and ends its user data at one that it does not know",
    ];
  });
}

function containerLinuxWarnings(config: StackConfig): string[] {
  const { os, platform } = config;
  if (platform === "existing" || os.distribution !== "coreos") return [];
  const { insecureDockerApi, insecureRegistries = [] } = os.containerLinux ?? {};
  const md5 = Object.keys(os.users).filter((name) => os.users[name]?.insecureMd5Password);
  return [
    "os.distribution coreos: Container Linux has had no updates since May 2020; flatcar is its successor",
    ...groupWarnings(config),
    ...(insecureDockerApi
      ? [
          "os.containerLinux.insecureDockerApi: whoever reaches port 2375 of a node is root on it; swarm.dockerApi has mutual TLS",
        ]
      : []),
    ...(insecureRegistries.length > 0
      ? [
          `os.containerLinux.insecureRegistries: whoever is between a node and ${insecureRegistries.join(", ")} can give it other images`,
        ]
      : []),
    ...md5.map((name) => `os.users.${name}.insecureMd5Password: MD5-crypt hashes are guessed in no time`),
  ];
}
