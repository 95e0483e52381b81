import * as pulumi from "@pulumi/pulumi";

export interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  readonly parent?: string;
}

/** Registers resources without an engine: every output is its input, and what providers would make is made up. */
export class Recorder implements pulumi.runtime.Mocks {
  readonly resources: Registered[] = [];

  newResource(args: pulumi.runtime.MockResourceArgs) {
    this.resources.push({ type: args.type, name: args.name, inputs: args.inputs as Record<string, unknown> });
    return { id: `${args.name}-id`, state: { ...args.inputs, ...madeUp(args) } };
  }

  call() {
    return {};
  }

  named(name: string): Registered {
    const found = this.resources.find((one) => one.name === name);
    if (!found) {
      throw new Error(`no resource ${name}; there are ${this.resources.map((one) => one.name).join(", ")}`);
    }
    return found;
  }

  ofType(type: string): Registered[] {
    return this.resources.filter((one) => one.type.endsWith(type));
  }

  /** Installs this recorder as the engine, for the stack `dev` of project `moorage`. */
  async install(): Promise<this> {
    await pulumi.runtime.setMocks(this, "moorage", "dev", true, "organization");
    return this;
  }
}

function madeUp(args: pulumi.runtime.MockResourceArgs): Record<string, unknown> {
  switch (args.type) {
    case "tls:index/privateKey:PrivateKey":
      return {
        privateKeyOpenssh: `private ${args.name}`,
        privateKeyPem: `private ${args.name}`,
        publicKeyOpenssh: `ssh-ed25519 ${args.name}\n`,
      };
    case "tls:index/selfSignedCert:SelfSignedCert":
    case "tls:index/locallySignedCert:LocallySignedCert":
      return { certPem: `certificate ${args.name}` };
    case "tls:index/certRequest:CertRequest":
      return { certRequestPem: `request ${args.name}` };
    case "random:index/randomPassword:RandomPassword":
      return { result: `password ${args.name}`, bcryptHash: `hash ${args.name}` };
    default:
      return {};
  }
}
