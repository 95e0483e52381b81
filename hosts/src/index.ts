/** What is done on hosts, over SSH. */
import { endWithEngine } from "./orphan";

export * from "./contract";

export { acceptance, acceptanceReport } from "./acceptance";
export { imageIdOfArchive } from "./archive";
export { clearCaches } from "./cache";
export { dataDisk } from "./data-disk";
export { etcdCluster } from "./etcd/cluster";
export { installation } from "./installation";
export { loadedImages } from "./loaded-images";
export { nodeFiles } from "./node-files";
export { nodeNetwork } from "./node-network";
export { preflight } from "./preflight";
export { converged } from "./services/converged";
export { swept } from "./services/swept";
export { removeUnrecorded } from "./services/unrecorded";
export type { NamedKind } from "./services/unrecorded";
export { bucket } from "./storage/bucket";
export { accessKeyOf, storageUser } from "./storage/user";
export { swarmMember } from "./swarm/member";

export { verify } from "./verify";
export { checksOf } from "./verify/report";
export type { Check, EtcdMemberRow, NodeReport, OverlayRow, Report, SwarmRow } from "./verify/report";
export * from "./virtualbox";

export { operationNames, providerMethods } from "./provider";
export type { OperationName } from "./provider";

export { runDockerProxy } from "./proxy";
export { recordedSwarm } from "./proxy/managers";
export type { RecordedSwarm } from "./proxy/managers";
export type { DockerProxyOptions } from "./proxy";

export { recordedState, runPulumi, unwrapped } from "./state";
export type { RecordedResource } from "./state";

export { dockerApi } from "./docker/api";
export type { DockerAnswer, DockerApi, DockerRequest } from "./docker/api";
export { execInContainer } from "./docker/exec";
export { workingManager } from "./swarm/managers";
export { rebootAndWait } from "./reboot";
export * from "./ssh";
export {
  CommandError,
  DockerError,
  HostError,
  HostKeyError,
  LoginError,
  PartialFailure,
  UnreachableError,
} from "./errors";
export { setLog } from "./log";
export type { Log } from "./log";

endWithEngine();
