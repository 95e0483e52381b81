import * as pulumi from "@pulumi/pulumi";

/** The stack at hand as `pulumi --stack` takes it: `organization/project/stack`. */
export function stackReference(): string {
  return `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
}
