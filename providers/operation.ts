import type { dynamic } from "@pulumi/pulumi";
import type * as hosts from "@moorage/hosts";

/** Names of the operations in `@moorage/hosts` that a dynamic resource can stand for. */
export type OperationName = {
  [Name in keyof typeof hosts]: (typeof hosts)[Name] extends hosts.Operation<never, never> ? Name : never;
}[keyof typeof hosts];

/**
 * A provider that only calls its operation in `@moorage/hosts`.
 *
 * Pulumi writes a provider's code into the state of each of its resources: what is captured here must stay
 * this small, and hold no value but the operation's name.
 *
 * @param computed outputs that are not inputs
 */
export function providerOf(operation: string, computed: string[] = []): dynamic.ResourceProvider {
  return {
    create: (inputs) => require("@moorage/hosts")[operation].create(inputs),
    read: async (id, props) => {
      const found = await require("@moorage/hosts")[operation].read(id, props);
      if (!found) {
        return {};
      }
      const inputs = { ...found.outs };
      computed.forEach((key) => delete inputs[key]);
      return { id: found.id, props: found.outs, inputs };
    },
    diff: async (_id, olds, news) => ({
      ...require("@moorage/hosts")[operation].diff(olds, news),
      deleteBeforeReplace: true,
    }),
    update: async (id, olds, news) => ({
      outs: await require("@moorage/hosts")[operation].update(id, olds, news),
    }),
    delete: (id, props) => require("@moorage/hosts")[operation].delete(id, props),
  };
}
