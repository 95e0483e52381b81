/** One member of etcd as a unit around a container on the host's network. */
import { etcdContainer, etcdTlsFolder, renderEtcdScript } from "./etcd-script";
import type { Apply, ManagedFile, NodeFiles } from "./model";
import { lines, urlHost, word } from "./text";
import { renderUnit, unitCommand } from "./unit";

export interface EtcdFilesArgs {
  /** The node's name, which is the member's too. */
  readonly node: string;
  /** `name@sha256:…`, or the id of an image that is loaded on the node. It has etcd and etcdctl. */
  readonly image: string;
  /** Address that clients reach this member at, and those that it listens for them on. @default the one */
  readonly clientAddress: string;
  readonly listenClientAddresses?: readonly string[];
  /** Address that the other members reach it at, and those that it listens for them on. @default the one */
  readonly peerAddress: string;
  readonly listenPeerAddresses?: readonly string[];
  readonly clientPort: number;
  readonly peerPort: number;
  /** Tells this cluster from any other that a member might meet. */
  readonly token: string;
  /** Host folder of the member's data. */
  readonly dataFolder: string;
  /** Where the data disk is mounted, when the data lie on one. */
  readonly mountPoint?: string;
  /** Milliseconds between two signs of life of the leader. */
  readonly heartbeatMs: number;
  /** Milliseconds without one after which another is elected. */
  readonly electionMs: number;
  /** Size at which the store takes no more writes, in MiB. */
  readonly quotaMiB: number;
  /** How much history is kept: hours, or a number of revisions. */
  readonly compaction: { readonly mode: "periodic" | "revision"; readonly retention: string };
  /** Certificates in PEM form: of the authority, and of this member for clients, peers and itself as a client. */
  readonly ca: string;
  readonly certificate: string;
  /** Secret. */
  readonly key: string;
}

const folder = "/etc/moorage/etcd";

export const etcdUnit = "moorage-etcd.service";
/** What the unit runs, and what a node is asked and told by. */
export const etcdScriptPath = `${folder}/member`;
export { etcdContainer } from "./etcd-script";

/** `https://host:port` of a member, for clients or for its peers. */
export function etcdUrl(address: string, port: number): string {
  return `https://${urlHost(word(address, "address"))}:${port}`;
}

/** Nothing here restarts etcd: whoever places the files does that, one member after the other. */
const nothing: Apply = { action: "none" };

export function etcdFiles(args: EtcdFilesArgs): NodeFiles {
  const { image, dataFolder, mountPoint } = args;
  const script = renderEtcdScript({ image, folder, unit: etcdUnit, dataFolder, mountPoint });
  const file = (content: string, mode: number, apply = nothing): ManagedFile => ({ content, mode, apply });
  const reload: Apply = { action: "reload", unit: etcdUnit };
  return {
    files: {
      [`${folder}/member.env`]: file(renderEtcdSettings(args), 0o644),
      [etcdScriptPath]: file(script, 0o755),
      [`${folder}/ca.pem`]: file(args.ca, 0o644),
      [`${folder}/member.pem`]: file(args.certificate, 0o644, reload),
      [`${folder}/member-key.pem`]: file(args.key, 0o600, reload),
    },
    units: {
      [etcdUnit]: {
        content: serviceUnit(),
        // A first start may take long, on a slow disk or while an image is fetched: that is no failure.
        dropIns: { "timeout.conf": renderUnit({ Service: { TimeoutStartSec: 0 } }) },
        enabled: true,
        apply: nothing,
      },
    },
  };
}

/**
 * etcd's settings as it reads them from its environment, and etcdctl's. Which members there are is not among them:
 * a member that has data knows, and one that has none is told when it is admitted.
 */
export function renderEtcdSettings(args: EtcdFilesArgs): string {
  const { clientAddress, peerAddress } = args;
  const client = etcdUrl(clientAddress, args.clientPort);
  const peer = etcdUrl(peerAddress, args.peerPort);
  const urls = (addresses: readonly string[], port: number) =>
    addresses.map((address) => etcdUrl(address, port)).join(",");
  const tls = { ca: `${etcdTlsFolder}/ca.pem`, cert: `${etcdTlsFolder}/member.pem` };
  const key = `${etcdTlsFolder}/member-key.pem`;
  const settings: Record<string, string | number> = {
    ETCD_NAME: word(args.node, "node"),
    ETCD_DATA_DIR: `${word(args.dataFolder, "data folder")}/store`,
    ETCD_LISTEN_CLIENT_URLS: urls(args.listenClientAddresses ?? [clientAddress], args.clientPort),
    ETCD_ADVERTISE_CLIENT_URLS: client,
    ETCD_LISTEN_PEER_URLS: urls(args.listenPeerAddresses ?? [peerAddress], args.peerPort),
    ETCD_INITIAL_ADVERTISE_PEER_URLS: peer,
    ETCD_INITIAL_CLUSTER_TOKEN: word(args.token, "token"),
    ETCD_TRUSTED_CA_FILE: tls.ca,
    ETCD_CERT_FILE: tls.cert,
    ETCD_KEY_FILE: key,
    ETCD_CLIENT_CERT_AUTH: "true",
    ETCD_PEER_TRUSTED_CA_FILE: tls.ca,
    ETCD_PEER_CERT_FILE: tls.cert,
    ETCD_PEER_KEY_FILE: key,
    ETCD_PEER_CLIENT_CERT_AUTH: "true",
    ETCD_HEARTBEAT_INTERVAL: args.heartbeatMs,
    ETCD_ELECTION_TIMEOUT: args.electionMs,
    ETCD_QUOTA_BACKEND_BYTES: args.quotaMiB * 1024 * 1024,
    ETCD_AUTO_COMPACTION_MODE: args.compaction.mode,
    ETCD_AUTO_COMPACTION_RETENTION: word(args.compaction.retention, "retention"),
    ETCD_LOGGER: "zap",
    // So that `docker exec moorage-etcd etcdctl …` needs no further words.
    ETCDCTL_ENDPOINTS: client,
    ETCDCTL_CACERT: tls.ca,
    ETCDCTL_CERT: tls.cert,
    ETCDCTL_KEY: key,
  };
  return lines(...Object.entries(settings).map(([name, value]) => `${name}=${value}`));
}

function serviceUnit(): string {
  const removed = unitCommand(["docker", "rm", "--force", etcdContainer]);
  return renderUnit({
    Unit: {
      Description: "Member of etcd",
      // Stopped with Docker, and started by it again.
      Requires: "docker.service",
      After: "docker.service network-online.target",
      Wants: "network-online.target",
      StartLimitIntervalSec: 0,
    },
    Service: {
      RuntimeDirectory: "moorage-etcd",
      TimeoutStopSec: "30s",
      ExecStartPre: `-${removed}`,
      ExecStart: unitCommand(["/bin/sh", etcdScriptPath, "start"]),
      ExecReload: unitCommand(["/bin/sh", etcdScriptPath, "reload"]),
      ExecStop: `-${unitCommand(["docker", "stop", "-t", "20", etcdContainer])}`,
      ExecStopPost: `-${removed}`,
      Restart: "always",
      RestartSec: 2,
    },
    Install: { WantedBy: "multi-user.target docker.service" },
  });
}
