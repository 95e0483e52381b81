/** Requests of clients, by what a registry needs for them. */
type Request = [method: string, target: string];

const digest = `sha256:${"a".repeat(64)}`;

/** What a registry writes to its store for. */
export const writes: readonly Request[] = [
  ["POST", "/v2/team/app/blobs/uploads/"],
  ["PATCH", "/v2/team/app/blobs/uploads/0a-1b?_state=x"],
  ["PUT", `/v2/team/app/blobs/uploads/0a-1b?digest=${digest}`],
  ["PUT", "/v2/team/app/manifests/latest"],
  ["DELETE", `/v2/team/app/manifests/${digest}`],
  ["DELETE", `/v2/team/app/blobs/${digest}`],
  ["DELETE", "/v2/team/app/blobs/uploads/0a-1b"],
];
/** What one reads from its store for. */
export const reads: readonly Request[] = [
  ["GET", "/v2/_catalog"],
  ["GET", "/v2/_catalog?n=2"],
  ["GET", "/v2/team/app/tags/list"],
  ["HEAD", "/v2/team/app/manifests/latest"],
  ["GET", "/v2/team/app/manifests/latest"],
  ["GET", `/v2/team/app/blobs/${digest}`],
  ["HEAD", `/v2/team/app/blobs/${digest}`],
  ["GET", `/v2/team/app/referrers/${digest}`],
  ["GET", "/v2/team/app/blobs/uploads/0a-1b"],
];
/** What no registry asks its store for. */
export const bases: readonly Request[] = [
  ["GET", "/v2/"],
  ["HEAD", "/v2/"],
  ["GET", "/v2/?n=2"],
];
