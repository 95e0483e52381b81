/** The parts of Docker's API that are used here, as it spells them. */

export interface SwarmInfo {
  readonly NodeID: string;
  readonly LocalNodeState: "" | "inactive" | "pending" | "active" | "error" | "locked";
  readonly ControlAvailable: boolean;
  readonly Error: string;
  readonly RemoteManagers: { readonly NodeID: string; readonly Addr: string }[] | null;
  readonly Cluster?: { readonly ID: string } | null;
}

export interface DockerInfo {
  readonly Name: string;
  readonly ServerVersion: string;
  readonly DockerRootDir: string;
  readonly Swarm: SwarmInfo;
}

export interface SwarmNode {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: NodeSpec;
  readonly Description: {
    readonly Hostname: string;
    readonly Platform?: { readonly OS?: string; readonly Architecture?: string };
    readonly Engine?: { readonly Labels?: Record<string, string> | null };
  };
  readonly Status: { readonly State: string; readonly Addr?: string; readonly Message?: string };
  readonly ManagerStatus?: {
    readonly Leader?: boolean;
    readonly Reachability: string;
    readonly Addr: string;
  } | null;
}

export interface NodeSpec {
  readonly Role: "manager" | "worker";
  readonly Availability: "active" | "pause" | "drain";
  readonly Labels?: Record<string, string> | null;
}

export interface SwarmService {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: {
    readonly Name: string;
    readonly Labels?: Record<string, string> | null;
    readonly TaskTemplate: TaskSpec;
    readonly Mode: { readonly Replicated?: { readonly Replicas?: number }; readonly Global?: object };
  };
  readonly UpdateStatus?: { readonly State?: string; readonly Message?: string } | null;
  readonly ServiceStatus?: { readonly RunningTasks: number; readonly DesiredTasks: number };
}

export interface TaskSpec {
  readonly Placement?: { readonly Constraints?: string[] | null; readonly MaxReplicas?: number } | null;
  readonly Runtime?: string;
  readonly ContainerSpec?: { readonly Image?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

export interface SwarmTask {
  readonly ID: string;
  readonly ServiceID: string;
  readonly NodeID?: string;
  readonly Slot?: number;
  readonly Spec: TaskSpec;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly Timestamp: string;
    readonly Err?: string;
    readonly Message?: string;
  };
}
