/** A certificate authority with leaves, as a stack has one. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./stop";

export interface Leaf {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority {
  readonly ca: string;
  issue(name: string, usages: readonly ("serverAuth" | "clientAuth")[], days?: number): Leaf;
}

const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export function authority(): Authority {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  openssl(
    "req",
    "-x509",
    ...EC,
    "-keyout",
    at("ca.key"),
    "-out",
    at("ca.pem"),
    "-subj",
    "/CN=CA",
    "-days",
    "9",
  );
  return {
    ca: readFileSync(at("ca.pem"), "utf8"),
    issue(name, usages, days = 90) {
      const [key, request, certificate, extra] = ["key", "csr", "pem", "ext"].map((kind) =>
        at(`${name}.${kind}`),
      );
      const [keyFile = "", requestFile = "", certificateFile = "", extraFile = ""] = [
        key,
        request,
        certificate,
        extra,
      ];
      writeFileSync(
        extraFile,
        `subjectAltName=DNS:${name},IP:127.0.0.1\nextendedKeyUsage=${usages.join(",")}\n`,
      );
      openssl("req", ...EC, "-keyout", keyFile, "-out", requestFile, "-subj", `/CN=${name}`);
      openssl(
        ...[
          "x509",
          "-req",
          "-in",
          requestFile,
          "-CA",
          at("ca.pem"),
          "-CAkey",
          at("ca.key"),
          "-CAcreateserial",
        ],
        ...["-out", certificateFile, "-days", String(days), "-extfile", extraFile],
      );
      return { certificate: readFileSync(certificateFile, "utf8"), key: readFileSync(keyFile, "utf8") };
    },
  };
}
