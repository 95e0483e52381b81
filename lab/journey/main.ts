import * as fs from "node:fs";
import * as path from "node:path";
import { shellQuote, ToolError } from "../../toolchain";
import { LabError } from "../exec";
import { checkout, findInstance, platformNamed } from "../instance";
import { accessTo, knownHosts } from "../ssh";
import { imagesIn, journey, provide, readAccess, type Arrived } from "./journey";
import { ensureTools, environmentOf, foreignSettings } from "./pulumi";

const USAGE = "usage: tsx lab/journey/main.ts lab | env | images | prepare";

/** Everything to standard error but what was asked for, so that `eval` and pipes get only that. */
const say = (line: string): void => console.error(line);

async function lab(): Promise<void> {
  const start = Date.now();
  const arrived = await journey(say, platformNamed(process.env.MOORAGE_LAB_PLATFORM, "MOORAGE_LAB_PLATFORM"));
  console.log(farewell(arrived, (Date.now() - start) / 1000));
}

function farewell({ instance, access, digest, timings }: Arrived, total: number): string {
  const ca = path.join(instance.dir, "ca.crt");
  const nodes = instance.hosts.filter((host) => host.kind === "node");
  const seconds = (value: number): string => `${value.toFixed(1).padStart(7)} s`;
  return [
    "",
    `Registry      https://${access.host} on the lab's network, https://127.0.0.1:${instance.registryPort} from here`,
    `Pushed        ${access.host}/demo/hello@${digest} from client1, pulled on client2`,
    `Trust its CA  curl --cacert ${ca} …; for Docker: install -D -m 0644 ${ca} /etc/docker/certs.d/127.0.0.1:${instance.registryPort}/ca.crt`,
    `Log in        eval "$(make -s env)" && echo "$REGISTRY_PASSWORD" | docker login --username ${access.username} --password-stdin 127.0.0.1:${instance.registryPort}`,
    "Nodes",
    ...nodes.map((host) => {
      const access = accessTo(instance, host);
      if (access === undefined) return `  ${host.name}     npm run -s lab -- ssh ${host.name}`;
      const known = knownHosts(instance, host, access);
      return `  ${host.name}     ssh -p ${host.sshPort} -i ${access.identityFile} -o UserKnownHostsFile=${known} core@127.0.0.1`;
    }),
    "  or          npm run -s lab -- ssh coreos1",
    "Time",
    ...Object.entries(timings).map(([name, took]) => `  ${name.padEnd(14)}${seconds(took)}`),
    `  ${"all of it".padEnd(14)}${seconds(total)}`,
  ].join("\n");
}

async function env(): Promise<void> {
  const instance = findInstance();
  if (!instance || !fs.existsSync(instance.dir)) {
    throw new LabError("there is no lab of this checkout yet: run make lab");
  }
  const tools = await ensureTools(say);
  const environment = environmentOf(instance, tools);
  const access = await readAccess(instance, environment);
  const all: Record<string, string> = {
    ...environment,
    REGISTRY_URL: `https://127.0.0.1:${instance.registryPort}`,
    REGISTRY_CA: path.join(instance.dir, "ca.crt"),
    REGISTRY_USER: access.username,
    REGISTRY_PASSWORD: access.password,
  };
  console.log(`unset ${foreignSettings.join(" ")}`);
  for (const [name, value] of Object.entries(all)) {
    console.log(`export ${name}=${shellQuote(value)}`);
  }
}

async function main(): Promise<void> {
  const [command] = process.argv.slice(2);
  switch (command) {
    case "lab":
      return lab();
    case "env":
      return env();
    case "images":
      console.log(await imagesIn(checkout(), await ensureTools(say)));
      return;
    case "prepare":
      await provide(say);
      return;
    default:
      throw new LabError(USAGE);
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof ToolError ? `moorage: ${error.message}` : error);
  process.exitCode = 1;
});
