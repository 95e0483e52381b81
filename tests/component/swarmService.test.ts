import { describe, expect, test } from "vitest";
import { SwarmService, type SwarmServiceArgs } from "../../components/swarm/service";
import { contentOf, plain, secretPaths, type Recorder } from "../support/mocks";
import { onSwarm } from "./parts";

const label = { label: "moorage.stack", value: "moorage/dev" };

function service(args: Partial<SwarmServiceArgs> = {}): Promise<Recorder> {
  return onSwarm(({ swarm }) => {
    const plain = { image: "image/web", constraints: ["node.role==worker"], memoryMebibytes: 128 };
    new SwarmService("web", { swarm, ...plain, ...args });
  });
}

const secrets: SwarmServiceArgs["secrets"] = {
  password: { path: "/run/secrets/password", content: "private password", uid: "65532" },
};

describe("a Swarm service", () => {
  test("is a service with its secrets, and the wait for its tasks", async () => {
    const recorder = await service({ secrets });
    expect(recorder.children("web")).toEqual([
      "Converged web-converged",
      "Secret web-password",
      "Service web",
    ]);
  });

  test("has one task, no capability and a read-only file system", async () => {
    const { inputs } = (await service()).named("web");
    const change = {
      parallelism: 1,
      delay: "2s",
      monitor: "5s",
      maxFailureRatio: "0.0",
      order: "start-first",
    };
    expect(inputs).toEqual({
      name: "web",
      labels: [label],
      mode: { replicated: { replicas: 1 } },
      endpointSpec: { mode: "dnsrr", ports: [] },
      updateConfig: { ...change, failureAction: "rollback" },
      rollbackConfig: { ...change, failureAction: "pause" },
      taskSpec: {
        containerSpec: {
          image: "image/web",
          labels: [label],
          readOnly: true,
          init: true,
          capDrops: ["ALL"],
          stopGracePeriod: "30s",
          secrets: [],
          mounts: [],
        },
        networksAdvanceds: [{ id: "swarm-services-id" }],
        placement: { constraints: ["node.role==worker"] },
        restartPolicy: { condition: "any", delay: "2s", window: "0s" },
        resources: { limits: { memoryBytes: 128 * 1024 ** 2 } },
      },
    });
  });

  test("is given what its arguments say", async () => {
    const recorder = await service({
      global: true,
      ports: [{ published: 443, target: 8443 }],
      healthcheck: { test: ["CMD", "true"], intervalSeconds: 7, timeoutSeconds: 4, startPeriodSeconds: 30 },
      failureAction: "pause",
      binds: { "/data": { source: "/srv/web" }, "/etc/web": { source: "/etc/web", readOnly: true } },
      tmpfs: { "/tmp": 16 },
      environment: { HOME: "/tmp" },
      command: ["web"],
      args: ["--quiet"],
      sysctls: { "net.ipv4.tcp_retries2": "5" },
      stopGraceSeconds: 5,
    });
    expect(recorder.named("web").inputs).toMatchObject({
      mode: { global: true },
      updateConfig: { failureAction: "pause" },
      endpointSpec: {
        ports: [{ publishedPort: 443, targetPort: 8443, protocol: "tcp", publishMode: "host" }],
      },
      taskSpec: {
        containerSpec: {
          healthcheck: {
            tests: ["CMD", "true"],
            interval: "7s",
            timeout: "4s",
            retries: 3,
            startPeriod: "30s",
          },
          mounts: [
            { type: "bind", source: "/srv/web", target: "/data", readOnly: false },
            { type: "bind", source: "/etc/web", target: "/etc/web", readOnly: true },
            { type: "tmpfs", target: "/tmp", tmpfsOptions: { sizeBytes: 16 * 1024 ** 2 } },
          ],
          env: { HOME: "/tmp" },
          commands: ["web"],
          args: ["--quiet"],
          sysctl: { "net.ipv4.tcp_retries2": "5" },
          stopGracePeriod: "5s",
        },
      },
    });
  });

  test.each([
    ["a port of the host", { ports: [{ published: 443, target: 8443 }] }],
    ["a folder of the host", { binds: { "/data": { source: "/srv/web" } } }],
  ])("stops its old task first if it uses %s", async (_what, args) => {
    const order = { order: "stop-first" };
    const { inputs } = (await service(args)).named("web");
    expect(inputs).toMatchObject({ updateConfig: order, rollbackConfig: order });
  });

  test("refers to its secrets by Docker's ids and names, so that other content restarts it", async () => {
    const containerOf = (from: Recorder) =>
      (from.named("web").inputs as { taskSpec: { containerSpec: { secrets: unknown } } }).taskSpec
        .containerSpec;
    const container = containerOf(await service({ secrets }));
    expect(container).toMatchObject({
      secrets: [
        {
          secretId: expect.stringMatching(/^web-password-id-/),
          secretName: expect.stringMatching(/^web-password-/),
          fileName: "/run/secrets/password",
          fileMode: 0o400,
          fileUid: "65532",
          fileGid: "65532",
        },
      ],
    });
    const password = { path: "/run/secrets/password", content: "other" };
    const changed = containerOf(await service({ secrets: { password } }));
    expect(changed.secrets).not.toEqual(container.secrets);
  });

  test("keeps the contents of its secrets secret, and nothing else", async () => {
    const recorder = await service({ secrets });
    expect(contentOf(recorder.named("web-password"))).toBe("private password");
    expect(plain(recorder.named("web-password").inputs.labels)).toEqual([label]);
    expect(secretPaths(recorder.named("web-password").inputs)).toEqual(["data"]);
    expect(secretPaths(recorder.named("web").inputs)).toEqual([]);
  });

  test("comes after every member and the network, and is waited for after that", async () => {
    const recorder = await service({ secrets });
    const swarm = ["swarm-coreos1", "swarm-coreos2", "swarm-coreos3", "swarm-coreos4", "swarm-services"];
    for (const name of ["web", "web-password"]) {
      expect(recorder.named(name).dependencies).toEqual(expect.arrayContaining(swarm));
      expect(recorder.named(name).provider).toBe("swarm-docker");
    }
    expect(recorder.named("web-converged").dependencies).toContain("web");
  });
});

describe("the wait for a service", () => {
  const fingerprint = async (args: Partial<SwarmServiceArgs>) =>
    (await service(args)).named("web-converged").inputs.fingerprint;

  test("asks all managers for the very spec", async () => {
    const { inputs } = (await service()).named("web-converged");
    expect(plain(inputs)).toMatchObject({ service: "web", timeoutSeconds: 300 });
    expect((inputs.managers as { node: string }[]).map((one) => one.node)).toEqual([
      "coreos1",
      "coreos2",
      "coreos3",
    ]);
    expect(inputs.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  });

  test("is repeated for another image or another content of a secret, and only then", async () => {
    const secret = (content: string): SwarmServiceArgs["secrets"] => ({
      password: { path: "/password", content },
    });
    const prints = [
      await fingerprint({}),
      await fingerprint({ image: "image/other" }),
      await fingerprint({ secrets: secret("one") }),
      await fingerprint({ secrets: secret("other") }),
    ];
    expect(new Set(prints).size).toBe(prints.length);
    expect(await fingerprint({ secrets: secret("one") })).toBe(prints[2]);
  });
});
