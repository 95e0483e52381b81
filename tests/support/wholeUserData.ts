/** All user data of a node of a lab, and what the lab's stack may have besides, for hosts that are installed by hand. */
import { vi } from "vitest";
import type { Document } from "yaml";
import { recordedState } from "@moorage/hosts";
import { renderUserData, type UserDataFormat, type UserDataModel } from "@moorage/render";
import { must } from "../../lab/exec";
import { checkout } from "../../lab/instance";
import { userDataOf } from "../../ops/render";
import { stackConfig } from "../../ops/stack";
import type { TestLab } from "./testLab";
import type { Applied } from "./userData";
import { wantedOf } from "./wanted";

/** What a node's user data is rendered from, the text, and what that is to come to. */
export interface Whole {
  readonly model: UserDataModel;
  readonly text: string;
  readonly wanted: Applied;
}

/**
 * Of the stack as its configuration is at the moment, secrets and what is put there over SSH included. The text is what
 * the operator's command prints.
 */
export async function wholeOf(lab: TestLab, node: string, format: UserDataFormat): Promise<Whole> {
  const options = { format, whole: true, secrets: true };
  const [config, state] = await inEnvironmentOf(lab, () =>
    Promise.all([stackConfig(undefined, true), recordedState(undefined, true)]),
  );
  const { model, args } = userDataOf(node, config, state, options);
  const command = ["--no-install", "tsx", "ops/main.ts", "render", node, "--secrets", "--whole"];
  const text = await must("npx", [...command, "--format", format], { env: lab.env, cwd: checkout() });
  if (text !== renderUserData(model, args))
    throw new Error(`${node}: its user data is not that of the model`);
  return { model, text, wanted: wantedOf(model, args) };
}

/** Work of this process that runs `pulumi` finds the lab's stack. */
async function inEnvironmentOf<T>(lab: TestLab, work: () => Promise<T>): Promise<T> {
  for (const [name, value] of Object.entries(lab.env)) vi.stubEnv(name, value);
  try {
    return await work();
  } finally {
    vi.unstubAllEnvs();
  }
}

/** A unit that nobody wants on, though a preset would have it so. */
export const idle = "own-idle.service";
/** A network card that the lab's hosts do not have by themselves. */
export const nic = "eth1";

/** Changes the configuration to one with what a stack may have besides; only rendered, as no `pulumi up` follows. */
export const enrich =
  (node: string) =>
  (config: Document): void => {
    const os = {
      timeZone: "Europe/Berlin",
      ntp: ["time.example.com"],
      clockTimer: true,
      aliases: true,
      motd: "Just another day!!",
      proxies: { http: "http://10.0.2.1:3128" },
      files: {
        "/opt/bin/own": { content: "#!/bin/sh\nexit 0\n", permissions: "0750", owner: "root:docker" },
        "/etc/systemd/system-preset/30-own.preset": { content: `enable ${idle}\n` },
      },
      units: {
        "own.service": { content: "[Service]\nType=oneshot\nExecStart=/opt/bin/own\n" },
        "own.timer": {
          content: "[Timer]\nOnCalendar=weekly\n\n[Install]\nWantedBy=timers.target\n",
          enabled: true,
        },
        [idle]: {
          content: "[Service]\nExecStart=/usr/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n",
          enabled: false,
        },
        "docker.service": { dropIns: { "80-own.conf": "[Service]\nNice=-5\n" } },
      },
    };
    for (const [key, value] of Object.entries(os)) config.setIn(["config", "moorage:os", key], value);
    const nics = { [nic]: { address: "10.40.0.11/24", gateway: "10.40.0.1", metric: 500, mtu: 1400 } };
    config.setIn(["config", "moorage:nodes", node, "nics"], nics);
  };

/** The same with two VLANs, which not every machine's kernel has. */
export const withVlans =
  (node: string) =>
  (config: Document): void => {
    enrich(node)(config);
    config.setIn(["config", "moorage:nodes", node, "vlans"], {
      v7: { id: 7, address: "10.30.0.11/24", gateway: "10.30.0.1", metric: 300, mtu: 1300 },
      v8: { id: 8, address: "10.31.0.11/24" },
    });
  };
