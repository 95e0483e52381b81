import * as path from "node:path";
import {
  converged,
  dockerApi,
  exec,
  execInContainer,
  imageIdOfArchive,
  loadedImages,
  type Connection,
  type ExecOptions,
} from "@moorage/hosts";
import { buildImages } from "../../../lab/images";
import { ensureTools } from "../../../toolchain";
import type { NetworkInputs } from "./stack";

const PORT = 5000;
const SLOW_SECONDS = 240;
const PAYLOAD = "/srv/payload";
const MTU_OPTION = "com.docker.network.driver.mtu";

const CONFIG = `version: 0.1
storage:
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :${PORT}
`;

/** Puts a blob ($3, its digest $2), and an image that consists of it, into the registry at $1. */
const PUSH = `
set -eu
curl() { command curl --connect-timeout 60 "$@"; }
base=http://$1:${PORT}/v2/demo/payload
put() { # file, digest
  location=$(curl -fsS -X POST -D - -o /dev/null "$base/blobs/uploads/" | tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')
  case $location in http*) ;; *) location=http://$1:${PORT}$location ;; esac
  case $location in *'?'*) location="$location&" ;; *) location="$location?" ;; esac
  curl -fsS -T "$1" -H 'Content-Type: application/octet-stream' "\${location}digest=$2"
}
printf '{}' >/tmp/config
config=sha256:$(sha256sum /tmp/config | cut -d ' ' -f 1)
put /tmp/config "$config"
put "$3" "$2"
type=application/vnd.oci.image.manifest.v1+json
size() { wc -c <"$1"; }
printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s","size":%d}]}' \\
  "$type" "$config" "$(size /tmp/config)" "$2" "$(size "$3")" >/tmp/manifest
curl -fsS -T /tmp/manifest -H "Content-Type: $type" "$base/manifests/1"
curl -fsS -o /tmp/pulled -H "Accept: $type" "$base/manifests/1"
cmp /tmp/manifest /tmp/pulled
`;

/** Runs a command on a machine, and gives back what it says. */
export async function onMachine(
  connection: Connection,
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<string> {
  const { stdout } = await exec(connection, argv, { timeoutSeconds: SLOW_SECONDS, ...options });
  return stdout.trim();
}

/** A registry on one machine and its client on another, Swarm services on two overlay networks. */
export class Registry {
  private constructor(
    private readonly server: Connection,
    private readonly client: Connection,
  ) {}

  /** @param network of the program; the second network differs from it in name, place and MTU alone */
  static async start(server: Connection, client: Connection, network: NetworkInputs): Promise<Registry> {
    const image = await loadImage([server, client]);
    // The payload's disk cannot be handed to a service; a file can.
    await onMachine(client, ["cp", "/dev/disk/by-id/virtio-payload", PAYLOAD], { sudo: true });
    await createNetwork(server, network);
    await createNetwork(server, untold(network));
    const config = await dockerApi(server).post<{ ID: string }>("/configs/create", {
      json: { Name: "registry", Data: Buffer.from(CONFIG).toString("base64") },
    });
    const configs = [
      {
        ConfigID: config.ID,
        ConfigName: "registry",
        File: { Name: "/etc/distribution/config.yml", UID: "0", GID: "0", Mode: 0o444 },
      },
    ];
    await createService(server, network, {
      name: "registry",
      node: server.node,
      container: { Image: image, Configs: configs },
      published: PORT,
    });
    const mounts = [{ Type: "bind", Source: PAYLOAD, Target: PAYLOAD, ReadOnly: true }];
    await createService(server, network, {
      name: "client",
      node: client.node,
      container: { Image: image, Command: ["sleep", "infinity"], Init: true, Mounts: mounts },
    });
    for (const service of ["registry", "client"]) {
      await converged.create({ managers: [server], service, fingerprint: "", timeoutSeconds: SLOW_SECONDS });
    }
    return new Registry(server, client);
  }

  /** Pushes the first bytes of the payload to a name of the registry's, from the client's container. */
  async push(name: "registry" | "registry-untold", digest: string, mebibytes: number): Promise<void> {
    await this.inClient(["dd", `if=${PAYLOAD}`, "of=/tmp/layer", "bs=1048576", `count=${mebibytes}`]);
    await this.inClient(["sh", "-c", PUSH, "sh", name, digest, "/tmp/layer"]);
  }

  /** The digest of a blob's bytes as they lie in the registry's container. */
  async digestOfStored(digest: string): Promise<string> {
    const hex = digest.replace("sha256:", "");
    const file = `/var/lib/registry/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    const container = await containerOf(this.server, "registry");
    const { stdout } = await execInContainer(this.server, {
      container,
      argv: ["sha256sum", file],
      purpose: "reading what the registry has stored",
      timeoutSeconds: SLOW_SECONDS,
    });
    return `sha256:${stdout.split(" ")[0]}`;
  }

  /** Asks for the registry by a node's address, past the overlay. */
  async lookInClear(address: string): Promise<void> {
    await onMachine(this.client, ["curl", "-fsS", `http://${address}:${PORT}/v2/`]);
  }

  private async inClient(argv: readonly string[]): Promise<string> {
    const container = await containerOf(this.client, "client");
    const { stdout } = await execInContainer(this.client, {
      container,
      argv,
      purpose: `${argv[0]} in the client`,
      timeoutSeconds: SLOW_SECONDS,
    });
    return stdout;
  }
}

async function loadImage(connections: readonly Connection[]): Promise<string> {
  const { minio, mc, registry } = await ensureTools((line) => console.error(line));
  const folder = await buildImages({ minio, mc, registry });
  const archive = path.join(folder, "registry.tar");
  const imageId = imageIdOfArchive(archive);
  const images = { registry: { archive, imageId } };
  await Promise.all(connections.map((connection) => loadedImages.create({ connection, images })));
  return imageId;
}

/** The program's network as Docker would make it where nobody says the MTU. */
function untold(network: NetworkInputs): NetworkInputs {
  const told = Object.entries(network.options).filter(([option]) => option !== MTU_OPTION);
  return {
    ...network,
    name: "untold",
    options: { ...Object.fromEntries(told), "com.docker.network.driver.overlay.vxlanid_list": "8021" },
    ipamConfigs: [{ subnet: "10.20.2.0/24", gateway: "10.20.2.1" }],
  };
}

async function createNetwork(manager: Connection, network: NetworkInputs): Promise<void> {
  const { name, driver, options, ipamConfigs } = network;
  await dockerApi(manager).post("/networks/create", {
    json: {
      Name: name,
      Driver: driver,
      Options: options,
      IPAM: { Config: ipamConfigs.map(({ subnet, gateway }) => ({ Subnet: subnet, Gateway: gateway })) },
    },
  });
}

interface ServiceArgs {
  readonly name: string;
  readonly node: string;
  readonly container: object;
  /** A port of its node's that leads to it. */
  readonly published?: number;
}

/** As the program's services are: one task on its node, found by its names alone. */
async function createService(
  manager: Connection,
  network: NetworkInputs,
  { name, node, container, published }: ServiceArgs,
): Promise<void> {
  await dockerApi(manager).post("/services/create", {
    json: {
      Name: name,
      TaskTemplate: {
        ContainerSpec: container,
        Networks: [
          { Target: network.name, Aliases: [name] },
          { Target: untold(network).name, Aliases: [`${name}-untold`] },
        ],
        Placement: { Constraints: [`node.labels.moorage.node==${node}`] },
        RestartPolicy: { Condition: "any", Delay: 2e9 },
      },
      Mode: { Replicated: { Replicas: 1 } },
      EndpointSpec: {
        Mode: "dnsrr",
        ...(published !== undefined && {
          Ports: [{ TargetPort: published, PublishedPort: published, Protocol: "tcp", PublishMode: "host" }],
        }),
      },
    },
  });
}

async function containerOf(connection: Connection, service: string): Promise<string> {
  const [container] = await dockerApi(connection).get<{ Id: string }[]>("/containers/json", {
    query: { filters: { label: [`com.docker.swarm.service.name=${service}`] } },
  });
  if (container === undefined) throw new Error(`${connection.node} runs no container of ${service}`);
  return container.Id;
}
