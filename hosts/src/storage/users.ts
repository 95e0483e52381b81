/** The registry's users of the object store. One has one secret key for good: a changed key is another user beside it. */
import { createHash } from "node:crypto";
import { asRoot } from "./mc";
import type { Root, StorageContainer } from "./mc";

/** Name of the bucket's user that has this secret key. */
export function accessKeyOf(bucket: string, secretKey: string): string {
  // It is no secret: so few digits are those of any number of keys.
  return `${bucket}-${createHash("sha256").update(secretKey).digest("hex").slice(0, 8)}`;
}

/** Whether the program gave a user its name, which was the bucket's own once. */
function isUserOf(bucket: string, name: string): boolean {
  return (
    name === bucket || (name.startsWith(`${bucket}-`) && /^[0-9a-f]{8}$/.test(name.slice(bucket.length + 1)))
  );
}

/** All users that the program made for a bucket. */
export async function usersOf(storage: StorageContainer, root: Root, bucket: string): Promise<string[]> {
  const { stdout } = await asRoot(storage, root, {
    argv: ["--json", "admin", "user", "list", "local"],
    purpose: "listing the users of the object store",
  });
  return stdout
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => (JSON.parse(line) as { accessKey?: string }).accessKey ?? "")
    .filter((name) => isUserOf(bucket, name))
    .sort();
}
