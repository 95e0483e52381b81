/** What the registry's user may do. */

export const policyName = (bucket: string) => `registry-${bucket}`;

/** What a registry does with its bucket, and nothing else. */
export function bucketPolicy(bucket: string): string {
  const statement = (actions: string[], resource: string) => ({
    Effect: "Allow",
    Action: actions.map((action) => `s3:${action}`),
    Resource: [`arn:aws:s3:::${resource}`],
  });
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      statement(["GetBucketLocation", "ListBucket", "ListBucketMultipartUploads"], bucket),
      statement(
        ["GetObject", "PutObject", "DeleteObject", "ListMultipartUploadParts", "AbortMultipartUpload"],
        `${bucket}/*`,
      ),
    ],
  });
}

/** Whether two policies say the same: MinIO keeps the members of a list in an order of its own. */
export function samePolicy(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).sort().join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`);
  return `{${members.sort().join()}}`;
}
