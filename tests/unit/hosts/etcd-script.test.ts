import { existsSync, statSync, symlinkSync } from "node:fs";
import { etcdFiles, etcdScriptPath } from "@moorage/render";
import { describe, expect, it } from "vitest";
import { exec } from "../../../hosts/src/ssh/exec";
import { Sandbox, canSandbox } from "./support/sandbox";

const dataFolder = "/var/lib/moorage/etcd";
const user = 61000;

/** A node with the member's files. Docker there prints how it is called. */
async function nodeWithFiles(): Promise<Sandbox> {
  const sandbox = await Sandbox.start({ docker: "#!/bin/sh\necho docker $*\n", sleep: "#!/bin/sh\n" });
  const { files } = etcdFiles({
    ...{ node: "a", image: "etcd", clientAddress: "10.0.2.11", peerAddress: "10.0.2.11" },
    ...{ clientPort: 2379, peerPort: 2380, token: "t", dataFolder },
    ...{ heartbeatMs: 250, electionMs: 2500, quotaMiB: 2048, ca: "ca", certificate: "cert", key: "key" },
    compaction: { mode: "periodic", retention: "1h" },
  });
  for (const [path, { content }] of Object.entries(files)) sandbox.write(path.slice(1), content);
  return sandbox;
}

describe.skipIf(!canSandbox)("the script of etcd's member", () => {
  it("overwrites and creates no file through a symbolic link that etcd's user left", async () => {
    const sandbox = await nodeWithFiles();
    const run = (...argv: string[]) => exec(sandbox.server.connection(), ["sh", etcdScriptPath, ...argv]);
    sandbox.write(`${dataFolder.slice(1)}/store/member/wal/0.wal`, "the data");
    await run("start");
    const folders = [dataFolder, `${dataFolder}/store`, "/run/moorage-etcd", "/run/moorage-etcd/tls"];
    const owned = folders.filter((folder) => statSync(sandbox.at(folder)).uid === user);
    sandbox.write("etc/victim", "root's");
    for (const folder of owned) {
      symlinkSync("/etc/created", sandbox.at(`${folder}/alone`));
      for (const name of ["initial.env", "initial.env.part"]) {
        symlinkSync("/etc/victim", sandbox.at(`${folder}/${name}`));
      }
    }

    await run("admit", "existing", "a=https://10.0.2.11:2380");
    await run("alone");
    const { stdout } = await run("start");
    expect(sandbox.read("etc/victim")).toBe("root's");
    expect(existsSync(sandbox.at("etc/created"))).toBe(false);

    // It owns, and its container can write to, the store alone.
    expect(owned).toEqual([`${dataFolder}/store`]);
    const volumes = [...stdout.matchAll(/--volume \S+?:(\S+?):(\S+) /g)];
    const writable = volumes.filter(([, , mode]) => !mode?.split(",").includes("ro"));
    expect(writable.map(([, folder]) => folder)).toEqual([`${dataFolder}/store`]);
  });
});
