import { managersOfStack, removeUnrecorded, type NamedKind } from "@moorage/hosts";
import * as pulumi from "@pulumi/pulumi";

/**
 * A hook that runs before a service or network is made. An update that is killed between Docker's answer and the
 * state leaves it unrecorded, and the next update would fail on its name.
 *
 * @param label `key=value` that everything of the stack carries
 */
export function unrecordedHook(kind: NamedKind, label: string): pulumi.ResourceHook {
  return new pulumi.ResourceHook(`moorage-unrecorded-${kind}`, async ({ newInputs }) => {
    const stack = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
    managers ??= managersOfStack(stack);
    await removeUnrecorded(await managers, kind, String(newInputs?.name), label);
  });
}

/** Read once: every service of a first update asks. */
let managers: ReturnType<typeof managersOfStack> | undefined;
