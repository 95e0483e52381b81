import { storageSpares, type Store } from "@moorage/hosts";
import * as pulumi from "@pulumi/pulumi";
import type { ArgsOf } from "./inputs";

/**
 * For the Swarm service that is MinIO on a node: before any change of it, whatever the reason, MinIO has to be able to do
 * without that member. It is asked each time, as what an earlier update has seen may be days ago.
 *
 * @param oneByOne false where all members are changed together, and nothing is kept serving
 */
export function onceSpared(
  node: string,
  store: ArgsOf<Store>,
  oneByOne: pulumi.Output<boolean>,
): pulumi.ResourceHookBinding {
  const asked = pulumi.all([pulumi.output(store), oneByOne]);
  const spared = (): Promise<void> =>
    new Promise((resolve, reject) => {
      asked.apply(([known, isRow]) => {
        (isRow ? storageSpares(node, known as Store) : Promise.resolve()).then(resolve, reject);
      });
    });
  return { beforeUpdate: [spared] };
}
