/** The operations in the shape of Pulumi's dynamic providers; nothing of Pulumi is needed for that. */
import { acceptance } from "./acceptance";
import type { Operation } from "./contract";
import { dataDisk } from "./data-disk";
import { PartialFailure } from "./errors";
import { etcdCluster } from "./etcd/cluster";
import { installation } from "./installation";
import { loadedImages } from "./loaded-images";
import { nodeFiles } from "./node-files";
import { nodeNetwork } from "./node-network";
import { preflight } from "./preflight";
import { converged } from "./services/converged";
import { swept } from "./services/swept";
import { bucket } from "./storage/bucket";
import { storageUser } from "./storage/user";
import { swarmMember } from "./swarm/member";
import { guest, isoImage, natNetwork } from "./virtualbox";

type Properties = Record<string, unknown>;
type AnyOperation = Operation<Properties, Properties>;

/** Each operation, and its outputs that are not inputs. */
const operations = {
  preflight: [preflight, "findings", "row"],
  installation: [installation, "firstBootId"],
  dataDisk: [dataDisk],
  nodeFiles: [nodeFiles],
  nodeNetwork: [nodeNetwork],
  loadedImages: [loadedImages],
  swarmMember: [swarmMember, "nodeId", "unlockKey"],
  converged: [converged, "spec"],
  etcdCluster: [etcdCluster, "memberIds"],
  swept: [swept],
  bucket: [bucket],
  storageUser: [storageUser],
  acceptance: [acceptance, "report"],
  natNetwork: [natNetwork],
  isoImage: [isoImage, "file", "resolvedVersion", "fileSha256", "checked"],
  guest: [guest, "uuid"],
} as const;

export type OperationName = keyof typeof operations;

export const operationNames = Object.keys(operations) as OperationName[];

/** The methods of a dynamic provider that does `name`. */
export function providerMethods(name: OperationName) {
  const [known, ...computed] = operations[name];
  const operation = known as unknown as AnyOperation;
  return {
    create: (inputs: Properties) => withShell(inputs, operation.create(inputs)),
    read: async (id: string, props: Properties) => {
      const found = await told(operation.read(id, props));
      if (!found) return {};
      const inputs = { ...found.outs };
      for (const key of computed) delete inputs[key];
      return { id: found.id, props: found.outs, inputs };
    },
    diff: (_id: string, olds: Properties, news: Properties) =>
      Promise.resolve({ ...operation.diff(olds, news), deleteBeforeReplace: true }),
    update: async (id: string, olds: Properties, news: Properties) => ({
      outs: await withShell(news, operation.update(id, olds, news)),
    }),
    delete: (id: string, props: Properties) => told(operation.delete(id, props)),
  };
}

/**
 * Pulumi puts its own key into what a success gives back, and not into what a failure half way does. A refresh or a
 * deletion of what is recorded without it finds no provider.
 */
async function withShell<T>({ __provider }: Properties, work: Promise<T>): Promise<T> {
  return work.catch((error: unknown) => {
    if (!(error instanceof PartialFailure)) throw error;
    throw new PartialFailure(error.id, { ...error.properties, __provider }, error);
  });
}

/** Pulumi prints the stack of an error in a read or a deletion; its message says what a user can do. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error) error.stack = "";
    throw error;
  }
}
