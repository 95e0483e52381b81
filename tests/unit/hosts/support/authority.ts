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
  issue(name: string, usages: readonly ("serverAuth" | "clientAuth")[]): Leaf;
}

export function authority(): Authority {
  const folder = temporaryFolder();
  const openssl = (command: string) =>
    execFileSync("openssl", command.split(" "), { stdio: "ignore", cwd: folder });
  const read = (file: string) => readFileSync(join(folder, file), "utf8");
  const key = (file: string) => `-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${file}`;
  openssl(`req -x509 ${key("ca.key")} -out ca.pem -subj /CN=CA -days 9`);
  return {
    ca: read("ca.pem"),
    issue(name, usages) {
      const extensions = `subjectAltName=DNS:${name},IP:127.0.0.1\nextendedKeyUsage=${usages.join(",")}\n`;
      writeFileSync(join(folder, "ext"), extensions);
      openssl(`req ${key(`${name}.key`)} -out csr -subj /CN=${name}`);
      const signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext";
      openssl(`x509 -req -in csr -out ${name}.pem -days 9 ${signed}`);
      return { certificate: read(`${name}.pem`), key: read(`${name}.key`) };
    },
  };
}
