/** What some changes are watched for besides. */
import { X509Certificate } from "node:crypto";
import { LabError, run, waitFor } from "../../lab/exec";
import type { Host } from "../../lab/instance";
import { probe, askOnce } from "./clients";
import type { Watch } from "./changes";
import type { Probe } from "./client/probe";
import type { Stage } from "./stage";

const PROBE_MS = 400;
/** How long a former password may be right beyond its time: fronts remember for half a minute whose was right. */
const SLACK_SECONDS = 45;

const nodesOf = ({ instance }: Stage): Host[] => instance.hosts.filter(({ kind }) => kind === "node");

function clientOf({ clients }: Stage): Host {
  const client = clients.at(-1);
  if (!client) throw new LabError("the lab has no client");
  return client;
}

/** What a node itself answers to `GET /v2/`, past the VIP. */
async function statusAt(stage: Stage, address: string, password: string, username: string): Promise<number> {
  const port = new URL(`https://${stage.login.host}`).port || "443";
  const login = { ...stage.login, host: `${address}:${port}`, username, password };
  const once = { login, path: "/v2/", method: "GET", timeoutMs: 10_000 };
  return (await askOnce(clientOf(stage), once)).status;
}

/** Until when former passwords are right, in seconds since 1970. */
function untilIn(state: string): number {
  const { deployment } = JSON.parse(state) as {
    deployment?: { resources?: { urn: string; outputs?: { until?: number } }[] };
  };
  const found = deployment?.resources?.find(({ urn }) => urn.endsWith("::registry-previous-passwords"));
  return found?.outputs?.until ?? 0;
}

/**
 * The former password is right at every front all the while, the new one at every front once it is known, and the
 * former one nowhere soon after its time.
 */
export const watchPassword: Watch = async (stage, lab) => {
  const username = "reader";
  const passwordNow = async (): Promise<string> =>
    ((await lab.outputs()).passwords as Record<string, string>)[username] ?? "";
  const former = await passwordNow();
  const seen: Probe[] = [];
  const login = { ...stage.login, username, password: former };
  const stop = probe(clientOf(stage), { login, paths: ["/v2/"], everyMs: PROBE_MS }, (one) => seen.push(one));
  return async () => {
    await stop();
    const problems: string[] = [];
    const refused = seen.filter(({ status }) => status === 401 || status === 403).length;
    if (refused > 0) problems.push(`the former password was refused ${refused} times of ${seen.length}`);
    const password = await passwordNow();
    if (password === former) problems.push("the password is the same");
    for (const { name, address } of nodesOf(stage)) {
      const answers = [
        await statusAt(stage, address, former, username),
        await statusAt(stage, address, password, username),
      ];
      if (answers.join() !== "200,200") problems.push(`${name} says ${answers.join(" and ")} to old and new`);
    }
    const until = untilIn(await lab.state());
    const gone = async (): Promise<true | undefined> => {
      const answers = await Promise.all(
        nodesOf(stage).map(({ address }) => statusAt(stage, address, former, username)),
      );
      return answers.every((status) => status === 401) ? true : undefined;
    };
    // Asked seldom: who is refused often is held back.
    const refusedNow = await waitFor(gone, until * 1000 - Date.now() + SLACK_SECONDS * 1000, 15_000);
    const seconds = Math.round(Date.now() / 1000 - until);
    stage.say(`    the former password is ${refusedNow ? "refused" : "right"} ${seconds} s after its time`);
    if (!refusedNow) problems.push(`the former password is still right ${seconds} s after its time`);
    const new_ = await statusAt(stage, nodesOf(stage)[0]?.address ?? "", password, username);
    if (new_ !== 200) problems.push(`the new password is answered with ${new_}`);
    return problems;
  };
};

/** Serial number of what a node shows, as its own client sees it. */
async function serialAt(stage: Stage, address: string): Promise<string> {
  const port = new URL(`https://${stage.login.host}`).port || "443";
  const command = ["openssl", "s_client", "-connect", `${address}:${port}`];
  const done = await run("ip", ["netns", "exec", clientOf(stage).netns, ...command], {
    input: "",
    timeoutMs: 10_000,
  });
  const pem = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(done.stdout)?.[0];
  return pem === undefined ? "nothing" : new X509Certificate(pem).serialNumber;
}

/** Every front shows the new certificate afterwards; the prober and the clients check its authority all the while. */
export const watchCertificate: Watch = async (stage) => {
  const serials = (): Promise<string[]> =>
    Promise.all(nodesOf(stage).map(({ address }) => serialAt(stage, address)));
  const before = await serials();
  return async () => {
    const after = await serials();
    const same = new Set(after).size === 1 && !before.includes(after[0] ?? "");
    return same ? [] : [`certificates were ${before.join(", ")} and are ${after.join(", ")}`];
  };
};
