import * as pulumi from "@pulumi/pulumi";

/** The stack at hand as `pulumi --stack` takes it: `organization/project/stack`. */
export function stackReference(): string {
  return `${pulumi.getOrganization()}/${stackName()}`;
}

/** `project/stack`, all of it that the URNs of a state tell too. */
export function stackName(): string {
  return `${pulumi.getProject()}/${pulumi.getStack()}`;
}
