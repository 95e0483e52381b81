/** Units of Container Linux that its successors do without. */
import type { ContainerLinuxModel } from "../model";
import { word } from "../text";
import { renderUnit } from "../unit";
import type { DescribedUnit } from "./description";

const flannelConfigKey = "/coreos.com/network/config";

export function containerLinuxUnits(model: ContainerLinuxModel): DescribedUnit[] {
  return [
    ...etcdUnits(model),
    ...(model.fleet === undefined ? [] : [unit("fleet.service", { started: true })]),
    // A socket cannot be started beside the service that it is for: it comes first.
    ...insecureSocket(model),
    ...flannelUnits(model),
    ...insecureRegistry(model),
  ];
}

function unit(name: string, rest: Partial<DescribedUnit>): DescribedUnit {
  return { name, dropIns: [], ...rest };
}

/** Members are found by way of the discovery service, which can take longer than a unit has to start. */
function etcdUnits({ etcd2 }: ContainerLinuxModel): DescribedUnit[] {
  if (etcd2 === undefined) {
    return [];
  }
  const content = renderUnit({ Service: { TimeoutStartSec: 0 } });
  return [unit("etcd2.service", { dropIns: [{ name: "timeout.conf", content }], started: true })];
}

function flannelUnits({ flannel }: ContainerLinuxModel): DescribedUnit[] {
  if (flannel === undefined) {
    return [];
  }
  const network = JSON.stringify({ Network: word(flannel.network, "network"), Backend: { Type: "vxlan" } });
  const command = `/usr/bin/etcdctl set ${flannelConfigKey} '${network}'`;
  return [
    unit("flanneld.service", {
      dropIns: [
        { name: "50-network-config.conf", content: renderUnit({ Service: { ExecStartPre: command } }) },
      ],
    }),
    unit("docker.service", {
      dropIns: [
        {
          name: "60-docker-wait-for-flannel-config.conf",
          content: renderUnit({
            Unit: { After: "flanneld.service", Requires: "flanneld.service" },
            Service: { Restart: "always" },
          }),
        },
      ],
    }),
  ];
}

function insecureSocket({ insecureDockerApi }: ContainerLinuxModel): DescribedUnit[] {
  if (!insecureDockerApi) {
    return [];
  }
  const content = renderUnit({
    Unit: { Description: "Docker's API, open to whoever reaches it" },
    Socket: { ListenStream: 2375, BindIPv6Only: "both", Service: "docker.service" },
    Install: { WantedBy: "sockets.target" },
  });
  return [unit("docker-tcp.socket", { content, enabled: true })];
}

function insecureRegistry({ insecureRegistries = [] }: ContainerLinuxModel): DescribedUnit[] {
  if (insecureRegistries.length === 0) {
    return [];
  }
  const options = insecureRegistries.map((name) => `--insecure-registry=${word(name, "registry")}`).join(" ");
  const content = renderUnit({ Service: { Environment: `"DOCKER_OPTS=${options}"` } });
  return [unit("docker.service", { dropIns: [{ name: "50-insecure-registry.conf", content }] })];
}
