/** The tables of docs/security.md, held to what the program makes of the lab's stack and to the golden files. */
import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { checkout } from "../../lab/instance";
import { documented } from "../support/listeners";
import type { Recorder } from "../support/mocks";
import { rawConfig } from "./parts";
import { program } from "./program";

interface Mount {
  readonly type: "bind" | "tmpfs";
  readonly source?: string;
  readonly target: string;
  readonly readOnly?: boolean;
}

interface Service {
  readonly name: string;
  readonly endpointSpec: { readonly ports: readonly { publishedPort: number; protocol: string }[] };
  readonly taskSpec: {
    readonly containerSpec: {
      readonly user?: string;
      readonly readOnly: boolean;
      readonly capDrops: readonly string[];
      readonly capAdds?: readonly string[];
      readonly mounts: readonly Mount[];
    };
  };
}

/** A row of the table of containers: what stands in backquotes in each cell, sorted. */
interface Row {
  readonly user: readonly string[];
  readonly capabilities: readonly string[];
  readonly memory: readonly string[];
  readonly writes: readonly string[];
  readonly reads: readonly string[];
}

const read = (file: string): string => fs.readFileSync(path.join(checkout(), file), "utf8");
const golden = (file: string): string => read(`tests/golden/files/${file}`);
const matches = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, found = ""]) => found).sort();

function documentedRows(): Map<string, Row> {
  const page = read("docs/security.md");
  const section = page.slice(page.indexOf("## Containers"), page.indexOf("## Secrets that are replaced"));
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  return new Map(
    rows.map((line) => {
      const cells = line.split("|").map((cell) => matches(cell, /`([^`]+)`/g));
      const [, [name = ""] = [], user = [], capabilities = [], memory = [], writes = [], reads = []] = cells;
      return [name, { user, capabilities, memory, writes, reads }];
    }),
  );
}

function rowOf({ taskSpec: { containerSpec } }: Service): Row {
  const { user, capAdds = [], mounts } = containerSpec;
  const binds = mounts.filter(({ type }) => type === "bind");
  const sources = (wanted: boolean): string[] =>
    binds.filter(({ readOnly = false }) => readOnly === wanted).map(({ source = "" }) => source);
  return {
    user: user === undefined ? [] : [user],
    capabilities: [...capAdds],
    memory: mounts.flatMap(({ type, target }) => (type === "tmpfs" ? [target] : [])).sort(),
    writes: sources(false).sort(),
    reads: sources(true).sort(),
  };
}

/** The command by which a unit starts its container. */
function commandIn(file: string): string {
  const found = golden(file)
    .split("\n")
    .find((line) => line.includes("docker run --rm"));
  return found ?? "";
}

function rowOfCommand(command: string): Row {
  const volumes = matches(command, /--volume (\S+)/g).map((one) => one.split(":"));
  const sources = (wanted: boolean): string[] =>
    volumes
      .filter(([, , options = ""]) => options.split(",").includes("ro") === wanted)
      .map(([one = ""]) => one);
  return {
    user: matches(command, /--user (\d+):/g),
    capabilities: matches(command, /--cap-add (\S+)/g),
    memory: matches(command, /--tmpfs ([^\s:]+)/g),
    writes: sources(false),
    reads: sources(true),
  };
}

let recorder: Recorder;
let services: Service[];
beforeAll(async () => {
  recorder = await program(rawConfig());
  services = recorder.ofType("service:Service").map(({ inputs }) => inputs as unknown as Service);
});

describe("docs/security.md", () => {
  test("lists each service with its user, capabilities and mounts, and nothing else", () => {
    const rows = documentedRows();
    const seen = new Set(services.map(({ name }) => name.replace(/-coreos\d$/, "-*")));
    expect([...rows.keys()].sort()).toEqual([...seen, "etcd", "keepalived"].sort());
    for (const service of services) {
      expect(rowOf(service), service.name).toEqual(rows.get(service.name.replace(/-coreos\d$/, "-*")));
      expect(service.taskSpec.containerSpec, service.name).toMatchObject({
        readOnly: true,
        capDrops: ["ALL"],
      });
    }
  });

  test.each(["keepalived", "etcd"])("lists %s with its user, capabilities and mounts", (name) => {
    const command = commandIn(`${name}.txt`);
    expect(rowOfCommand(command)).toEqual(documentedRows().get(name));
    expect(command).toContain("--cap-drop ALL");
    expect(command).toContain("--read-only");
  });

  test("lists each port that is published or listened on", () => {
    const published = services.flatMap(({ endpointSpec }) =>
      endpointSpec.ports.map(({ publishedPort, protocol }) => `${publishedPort}/${protocol}`),
    );
    const docker = matches(golden("node-base-flatcar.txt"), /^ListenStream=(\d+)$/gm);
    const etcd = matches(golden("etcd.txt"), /^ETCD_LISTEN_\w+_URLS=https:\/\/[\d.]+:(\d+)$/gm);
    // What sshd and Docker choose by themselves.
    const swarm = ["22/tcp", "2377/tcp", "7946/tcp", "7946/udp", "4789/udp"];
    const all = [...published, ...[...docker, ...etcd].map((port) => `${port}/tcp`), ...swarm];
    expect(documented(true).sort()).toEqual([...new Set(all)].sort());
  });
});
