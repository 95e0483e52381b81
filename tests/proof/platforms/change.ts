import * as path from "node:path";
import { describe, expect, test } from "vitest";
import { containers } from "../../support/containers";
import { variantOf } from "../../support/images";
import { changedIn } from "../../support/output";
import { ask, type Step, type TestLab } from "../../support/testLab";

const names = (plan: Step[]): string[] => [...new Set(plan.map((step) => step.name))].sort();

function changesOfServices(lab: () => TestLab): void {
  describe("another setting of nginx, another user and another image of the registry", () => {
    /** The planned changes. They stay. */
    let all: string[];

    test("plan changes of nginx, the registries, their acceptance, and nothing else", async () => {
      const archive = path.join(lab().instance.dir, "registry-other.tar");
      await variantOf(path.join(lab().images, "registry.tar"), archive, ({ config }) => {
        config.Labels = { variant: "other" };
      });
      lab().changeConfig((config) => {
        config.setIn(["config", "moorage:edge", "proxyTimeoutSeconds"], 600);
        const rights = [{ repositories: "added/*", access: "write" }];
        config.setIn(["config", "moorage:registry", "users", "added"], { rights });
        config.setIn(["config", "moorage:images", "registry"], { archive });
      });
      all = names(await lab().plan());
      const ofEach = lab().nodes.flatMap(({ name }) => [
        `${name}-images`,
        `registry-${name}`,
        `registry-${name}-converged`,
      ]);
      const ofProxies = lab().nodes.map(({ name }) => `proxies-${name}`);
      // The nodes get the image.
      const proof = ["acceptance-checks", "acceptance-sweep", "fleet-preflight"];
      expect(all).toEqual([...ofEach, ...ofProxies, "users-added", ...proof].sort());
    });

    test("are made by one update, which restarts no container of another service", async () => {
      const before = await containers(lab());
      const output = await lab().mustUp();
      const changed = changedIn(output);
      const left = all.filter((name) => !changed.includes(name));
      const said = output.split("\n").filter((line) => left.some((name) => line.includes(name)));
      expect(left, said.join("\n")).toEqual([]);
      expect(changed.filter((name) => !all.includes(name))).toEqual([]);
      const after = await containers(lab());
      const moved = Object.keys(before).filter((one) => after[one] !== before[one]);
      expect(moved.sort()).toEqual(
        lab()
          .nodes.map(({ name }) => `${name}: registry-${name}`)
          .sort(),
      );
      expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
    });
  });
}

function brokenService(lab: () => TestLab): void {
  describe("a service that runs and does not become healthy", () => {
    test("fails the update with its node and last error, and the old services go on", async () => {
      const archive = path.join(lab().instance.dir, "registry-broken.tar");
      await variantOf(path.join(lab().images, "registry.tar"), archive, ({ config }) => {
        // It starts and answers, without a store.
        config.Env = [...(config.Env ?? []), "REGISTRY_STORAGE_S3_BUCKET=none"];
      });
      const access = await lab().access();
      await lab().withConfig(
        (config) => config.setIn(["config", "moorage:images", "registry"], { archive }),
        async () => {
          const { code, output } = await lab().up();
          expect(code).not.toBe(0);
          // Swarm names a task. The node and its error are our part.
          const [, service, node] =
            /service registry-(coreos\d): Swarm rolled the update back \([^)]*\); (coreos\d): its health test failed, or/.exec(
              output,
            ) ?? [];
          expect(service, output).toBeDefined();
          expect(node).toBe(service);
        },
      );
      const answer = await ask(lab(), access, "/v2/", { user: access.username, password: access.password });
      expect(answer.status).toBe(200);
    });

    test("is undone by an update with the former image", async () => {
      await lab().mustUp();
      expect(await lab().plan()).toEqual([]);
    });
  });
}

function brokenUnit(lab: () => TestLab): void {
  describe("a unit of the user's", () => {
    const own = ["config", "moorage:os", "units", "own.service"];
    const unit = (command: string) =>
      `[Service]\nExecStart=${command}\n[Install]\nWantedBy=multi-user.target\n`;

    test("that does not start stops the update at the first node, which is rolled back", async () => {
      await lab().withConfig(
        (config) => {
          config.setIn([...own, "content"], unit("/bin/false"));
          config.setIn([...own, "enabled"], true);
        },
        async () => {
          const { code, output } = await lab().up();
          expect(code, output).not.toBe(0);
          const went = [...output.matchAll(/(coreos\d): went back to what it had before: /g)];
          expect(new Set(went.map(([, node]) => node)).size, output).toBe(1);
          expect(output).not.toMatch(/drained, to be changed/);
        },
      );
      for (const { name } of lab().nodes) {
        const found = await lab().mustRoot(
          name,
          "ls /etc/systemd/system; systemctl is-active docker.service",
        );
        expect(found, name).not.toContain("own.service");
        expect(found, name).toMatch(/^active$/m);
      }
    });
  });
}

function dropInOfDocker(lab: () => TestLab): void {
  describe("a drop-in of docker.service", () => {
    const dropIn = ["config", "moorage:os", "units", "docker.service", "dropIns", "10-own.conf"];
    const one = ["--target", "**::coreos4-base"];
    const environment = () =>
      lab().mustRoot(
        "coreos4",
        "tr '\\0' '\\n' < /proc/$(systemctl show -p MainPID --value docker.service)/environ",
      );

    test("that is removed restarts Docker, as the preview says", async () => {
      await lab().withConfig(
        (config) => config.setIn(dropIn, "[Service]\nEnvironment=OWN_SETTING=1\n"),
        () => lab().mustUp(...one),
      );
      expect(await environment()).toContain("OWN_SETTING=1");
      expect((await lab().pulumi(["preview", ...one])).output).toContain(
        "coreos4: this update removes /etc/systemd/system/docker.service.d/10-own.conf; restarts docker.service, the node drained meanwhile",
      );
      expect(await lab().mustUp(...one)).toMatch(/coreos4: drained[^]*coreos4: back in service/);
      expect(await environment()).not.toContain("OWN_SETTING");
    });
  });
}

/** Changes of a running stack. */
export function changes(lab: () => TestLab): void {
  changesOfServices(lab);
  brokenService(lab);
  brokenUnit(lab);
  dropInOfDocker(lab);
}
