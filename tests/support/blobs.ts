import { createHash, randomBytes } from "node:crypto";
import { expect } from "vitest";
import type { RegistryAccess } from "../../lab/journey/push";
import { ask, type TestLab } from "./testLab";

/**
 * Uploads a layer that nobody has pushed before, and gives back its digest in hexadecimal.
 * @param timeoutMs how long each of two answers may take
 */
export async function pushLayer(
  lab: TestLab,
  access: RegistryAccess,
  bytes = 300_000,
  timeoutMs = 60_000,
): Promise<string> {
  const body = randomBytes(bytes);
  const hex = createHash("sha256").update(body).digest("hex");
  const login = { user: access.username, password: access.password, timeoutMs };
  const begun = await ask(lab, access, "/v2/demo/layers/blobs/uploads/", { ...login, method: "POST" });
  expect(begun.status, begun.body).toBe(202);
  const { pathname, search } = new URL(String(begun.headers.location), "https://registry");
  const put = await ask(lab, access, `${pathname}${search}&digest=sha256:${hex}`, {
    ...login,
    method: "PUT",
    body,
    headers: { "Content-Type": "application/octet-stream" },
  });
  expect(put.status, put.body).toBe(201);
  return hex;
}

/** Where a layer lies below the bucket's folder on each of MinIO's drives. */
export const layerObject = (hex: string): string =>
  `./docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data/xl.meta`;
