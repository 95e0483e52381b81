/** What a stack that has nothing yet consists of: as a preview plans it, and as the program registers it where all is known. */
import { program } from "../component/program";
import { rawStack } from "./stacks";

/** Pulumi's own: the stack, and providers that nobody asked for. */
const isPulumis = (type: string, name: string): boolean =>
  type === "pulumi:pulumi:Stack" || (type.startsWith("pulumi:providers:") && name.startsWith("default"));

function listed(resources: readonly { readonly type: string; readonly name: string }[]): string[] {
  return resources
    .filter(({ type, name }) => !isPulumis(type, name))
    .map(({ type, name }) => `${type} ${name}`)
    .sort();
}

/** What `pulumi preview --json` would create, `type name` each. */
export function planned(json: string): string[] {
  const { steps } = JSON.parse(json) as { steps: { op: string; urn: string }[] };
  const created = steps.filter(({ op }) => op === "create").map(({ urn }) => urn.split("::"));
  // In front of the type are those of the parents.
  return listed(
    created.map(([, , types = "", ...name]) => ({
      type: types.split("$").at(-1) ?? "",
      name: name.join("::"),
    })),
  );
}

/** What the program registers for a stack of this repository, whose image archives are there, in the same form. */
export async function registered(stack: string): Promise<string[]> {
  const { resources } = await program(rawStack(stack));
  return listed(resources);
}
