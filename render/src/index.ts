export * from "./model";
export {
  defaultFormat,
  formatsOf,
  installHashOf,
  networkInPlace,
  renderDescription,
  renderUserData,
  withPasswords,
  type UserDataArgs,
} from "./user-data";
export { describeNode, installMarkerPath } from "./user-data/describe";
export type { DescribedFile, DescribedUnit, DescribedUser, NodeDescription } from "./user-data/description";
export { faultsOf, fileFaults, unitFaults, type Fault } from "./user-data/rules";
export { renderNetwork, type NetworkModel, type NetworkService, type NodeNetwork } from "./network";
export { isMacAddress } from "./network/match";
export { renderInstallerUserData, type InstallerModel } from "./installer";
export { computeNoProxy, type NoProxyArgs } from "./no-proxy";
export {
  minioCommand,
  minioEnvironment,
  minioHealthTest,
  minioStart,
  minioSysctls,
  type MinioArgs,
  type MinioEnvironmentArgs,
} from "./minio";
export { lookTimeoutSeconds } from "./health-test";
export { registryHealthTest, renderRegistryConfig, type RegistryConfigArgs } from "./registry";
export { htpasswd, nginxHealthTest, nginxPort, type NginxArgs, type NginxLimits } from "./nginx";
export { haproxyCommand, haproxyHealthTest, haproxyPorts, type HaproxyArgs } from "./haproxy";
export { contentCache, proxiesFiles, proxyMounts, type ProxiesArgs } from "./proxies";
export { shellCommand, shellQuote } from "./shell";
export { renderUnit, unitArgument, unitCommand, unitEnvironment, type UnitSections } from "./unit";
export { keepalivedFiles, type KeepalivedArgs } from "./keepalived";
export {
  etcdContainer,
  etcdFiles,
  etcdScriptPath,
  etcdUnit,
  etcdUrl,
  renderEtcdSettings,
  type EtcdFilesArgs,
} from "./etcd";
export { healingFiles, healingScriptPath, healingTimer, type HealingArgs } from "./healing";
export { nodeBaseFiles, type NodeBaseArgs } from "./node-base";
export { renderDockerOptions } from "./docker-options";
export { renderSetPasswords, type SetPasswordsArgs } from "./passwords";
export { containerSlice, type ContainerLimits, type DockerApiTls, type DockerArgs } from "./docker-daemon";
export { defaultMtu, overlayMtu, overlayMtuOption } from "./overlay";
export { renderIpxe, renderLiveIgnition, type IpxeArgs, type LiveModel } from "./live";
