import type { dynamic } from "@pulumi/pulumi";
import type { OperationName } from "@moorage/hosts";

/**
 * A provider that takes its methods from `@moorage/hosts` where it runs.
 *
 * Pulumi writes a provider's code into the state of each of its resources, so it holds nothing but a name. The
 * methods are there before `configure` returns: Pulumi may call them before its promise is resolved.
 */
export function providerOf(operation: OperationName): dynamic.ResourceProvider {
  const provider = {
    configure(): Promise<void> {
      Object.assign(this, require("@moorage/hosts").providerMethods(operation));
      return Promise.resolve();
    },
  };
  return provider as unknown as dynamic.ResourceProvider;
}
