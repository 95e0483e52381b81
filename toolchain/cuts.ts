import * as fs from "node:fs";
import * as path from "node:path";
import { ToolError } from "./run";

/** A passage that leaves a source file: where it starts, what follows it (the file's end by default), what replaces it. */
export type Cut = readonly [from: string, to?: string, put?: string];

/** The passages of each file of a Go module that are left out of a build. */
export type Cuts = Readonly<Record<string, readonly Cut[]>>;

/**
 * The CLI built here differs from the released one in this alone: it has no state in buckets of S3, Azure and Google
 * Cloud, no secrets providers of AWS, Azure, Google Cloud and Vault, no logs of AWS's and Google Cloud's resources in
 * `pulumi logs`, and no `pulumi api`. The SDKs and the parser behind these take half of the build, and no lab uses them.
 */
export const PULUMI_CUTS: Cuts = {
  "backend/diy/backend.go": [
    ['\t"gocloud.dev/blob/azureblob"', '\t_ "gocloud.dev/blob/fileblob"'],
    ['\t"gocloud.dev/blob/gcsblob"', '\t"gocloud.dev/gcerrors"'],
    ['\t"github.com/pulumi/pulumi/pkg/v3/authhelpers"', '\t"github.com/pulumi/pulumi/pkg/v3/backend"'],
    ["\t// for gcp we want", "\tbucket, err := blobmux.OpenBucket("],
  ],
  "backend/diy/bucket.go": [
    ['\t"net/url"', '\t"path"'],
    ["\tawss3 ", '\t"github.com/pulumi/'],
    ["\tbeforeCopy := ", "\treturn b.bucket.Copy("],
    ["// fixupS3CopySource ", "func (b *wrappedBucket) Delete("],
  ],
  "cmd/pulumi/cloud/schema.go": [
    ["import (", "// markdownEnumTail ", 'import "strings"\n\n'],
    ["// nonNil "],
  ],
  "cmd/pulumi/cloud/spec.go": [
    ['\t"slices"', '\t"github.com/gorilla/mux"'],
    ['\t"github.com/pb33f/libopenapi"', ")\n"],
    ["\tdoc, err := ", undefined, '\treturn nil, fmt.Errorf("pulumi api is left out of this build")\n}\n'],
  ],
  "operations/operations_aws.go": [["import ("]],
  "operations/operations_gcp.go": [["import ("]],
  "operations/resources.go": [['\tcase "aws":', "\tdefault:"]],
  "secrets/cloud/manager.go": [
    ['\t_ "gocloud.dev/secrets/awskms"', '\t"github.com/pulumi/pulumi/pkg/v3/secrets"'],
    ["\tcase gcpkms.Scheme:", "\tdefault:"],
  ],
};

/** Takes the passages out of a folder's files; one that is not there, or there twice, is an error. */
export function cutOut(folder: string, cuts: Cuts): void {
  for (const [file, passages] of Object.entries(cuts)) {
    const target = path.join(folder, file);
    let text = fs.readFileSync(target, "utf8");
    for (const [from, to, put = ""] of passages) {
      const start = text.indexOf(from);
      const end = to === undefined ? text.length : text.indexOf(to, start);
      if (start < 0 || end < 0 || text.includes(from, start + 1))
        throw new ToolError(`${target} has no passage, or several, from ${from} to ${to ?? "its end"}`);
      text = text.slice(0, start) + put + text.slice(end);
    }
    fs.writeFileSync(target, text);
  }
}
