/** What a configuration may have, and an operator should know of at every update. */
import { namesWithoutServers } from "./names";
import type { StackConfig } from "./stack";

export function warningsOf(config: StackConfig): string[] {
  return [...nameWarnings(config), ...containerLinuxWarnings(config)];
}

/** No mistake for sure: a machine's live system, or a file of one's own, may know a name server. */
function nameWarnings(config: StackConfig): string[] {
  const asking = namesWithoutServers(config);
  if (asking.length === 0) return [];
  return [
    `network.dns: found []; wanted the addresses of name servers: nodes have none, and these ask for a name: ${asking.join(", ")}`,
  ];
}

function containerLinuxWarnings({ os, platform }: StackConfig): string[] {
  if (platform === "existing" || os.distribution !== "coreos") return [];
  const { insecureDockerApi, insecureRegistries = [] } = os.containerLinux ?? {};
  const md5 = Object.keys(os.users).filter((name) => os.users[name]?.insecureMd5Password);
  return [
    "os.distribution coreos: Container Linux has had no updates since May 2020; flatcar is its successor",
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
