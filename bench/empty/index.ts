/** The least program that starts each plugin that Moorage starts: what an update of it takes is Pulumi's own. */
import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import * as tls from "@pulumi/tls";

const provider: pulumi.dynamic.ResourceProvider = {
  create: () => Promise.resolve({ id: "nothing" }),
};

class Nothing extends pulumi.dynamic.Resource {
  constructor(name: string) {
    super(provider, name, {});
  }
}

new docker.Provider("docker", { host: "ssh://nobody@nowhere" });
new command.local.Command("command", { create: "true" });
new random.RandomId("random", { byteLength: 4 });
new tls.PrivateKey("tls", { algorithm: "ED25519" });
new Nothing("dynamic");
