import type { dynamic } from "@pulumi/pulumi";
import type { OperationName } from "@moorage/hosts";

const made = new Map<OperationName, dynamic.ResourceProvider>();

/**
 * A provider that takes its methods from `@moorage/hosts` where it runs: one for all resources of an operation, as Pulumi
 * reads the code of each that it is given.
 */
export function providerOf(operation: OperationName): dynamic.ResourceProvider {
  const known = made.get(operation) ?? makeProvider(operation);
  made.set(operation, known);
  return known;
}

/**
 * Pulumi writes a provider's code into the state of each of its resources, so it holds nothing but a name. The
 * methods are there before `configure` returns: Pulumi may call them before its promise is resolved.
 */
function makeProvider(operation: OperationName): dynamic.ResourceProvider {
  const provider = {
    configure(): Promise<void> {
      Object.assign(this, require("@moorage/hosts").providerMethods(operation));
      return Promise.resolve();
    },
  };
  return provider as unknown as dynamic.ResourceProvider;
}
