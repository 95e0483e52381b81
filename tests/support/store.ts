/** The stack's object store, used as one of its users. */
import type { TestLab } from "./testLab";

/** A user in MinIO. */
export interface StoreUser {
  readonly name: string;
  readonly secret: string;
}

/** A secret or public output of a resource of the stack. */
export async function resourceOutput(lab: TestLab, resource: string, key: string): Promise<string> {
  const state = JSON.parse(await lab.state(true)) as {
    deployment: { resources: { urn: string; outputs?: Record<string, unknown> }[] };
  };
  const found = state.deployment.resources.find(({ urn }) => urn.endsWith(`::${resource}`))?.outputs?.[key];
  const secret = found as { plaintext?: string } | string | undefined;
  return typeof secret === "object" ? (JSON.parse(secret.plaintext ?? '""') as string) : (secret ?? "");
}

/** The registries' user. */
export const registryUser = async (lab: TestLab): Promise<StoreUser> => ({
  name: await resourceOutput(lab, "store-bucket", "accessKey"),
  secret: await resourceOutput(lab, "store-registry-key", "result"),
});

export const rootUser = async (lab: TestLab): Promise<StoreUser> => ({
  name: await resourceOutput(lab, "store-root-user", "result"),
  secret: await resourceOutput(lab, "store-root-password", "result"),
});

/** Runs a line with MinIO's client in a node's storage container, with alias `store`. @returns its output */
export function inStore(
  lab: TestLab,
  { name, secret }: StoreUser,
  line: string,
  node = "coreos1",
): Promise<string> {
  const container = `$(sudo docker ps --quiet --filter name=minio-${node})`;
  const script = `read -r user; read -r secret; export MC_CONFIG_DIR=/tmp/user MC_HOST_store="http://$user:$secret@127.0.0.1:9000"; ${line} 2>&1; true`;
  return lab.client(
    node,
    `sudo docker exec --interactive ${container} sh -c '${script}'`,
    `${name}\n${secret}\n`,
  );
}
