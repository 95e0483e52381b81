import * as pulumi from "@pulumi/pulumi";

/** Label that everything of this stack in the Swarm carries, so that leftovers can be told and swept. */
export function stackLabel(): { label: string; value: string } {
  return { label: "moorage.stack", value: `${pulumi.getProject()}/${pulumi.getStack()}` };
}

/** The same as `key=value`. */
export function labelText(): string {
  const { label, value } = stackLabel();
  return `${label}=${value}`;
}
