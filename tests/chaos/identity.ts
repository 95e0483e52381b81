/** Whether the front's certificate and a user's password are changed without refusing anyone in between. */
import { X509Certificate } from "node:crypto";
import { LabError, run, waitFor } from "../../lab/exec";
import type { Host } from "../../lab/instance";
import type { TestLab } from "../support/testLab";
import { probe, askOnce } from "./clients";
import type { Later, Watch } from "./changes";
import type { Probe } from "./client/probe";
import type { Stage } from "./stage";

const USER = "reader";
const PROBE_MS = 400;
/** By fewer requests nothing would be proved of an update that goes through every front. */
const LEAST = 50;
/** How long a former password may be right beyond its time: fronts remember for half a minute whose was right. */
const SLACK_SECONDS = 45;
/** Asked seldom: who is refused often is held back. */
const ASK_MS = 15_000;

const nodesOf = ({ instance }: Stage): Host[] => instance.hosts.filter(({ kind }) => kind === "node");

function clientOf({ clients }: Stage): Host {
  const client = clients.at(-1);
  if (!client) throw new LabError("the lab has no client");
  return client;
}

/** A node itself, past the VIP. */
function hostAt(stage: Stage, { address }: Host): string {
  return `${address}:${new URL(`https://${stage.login.host}`).port || "443"}`;
}

async function statusAt(stage: Stage, node: Host, password: string): Promise<number> {
  const login = { ...stage.login, host: hostAt(stage, node), username: USER, password };
  const once = { login, path: "/v2/", method: "GET", timeoutMs: 10_000 };
  return (await askOnce(clientOf(stage), once)).status;
}

/** Until when the user's former password is right, in seconds since 1970. */
export function untilIn(state: string): number {
  const { deployment } = JSON.parse(state) as {
    deployment?: { resources?: { urn: string; outputs?: { until?: Record<string, number> } }[] };
  };
  const found = deployment?.resources?.find(({ urn }) => urn.endsWith("::registry-previous-passwords"));
  return found?.outputs?.until?.[USER] ?? 0;
}

/** What is wrong with the answers to a password that has to be right all the while: only a connection may be cut off. */
export function wrongAnswers(seen: readonly Probe[]): string[] {
  const others = new Set(seen.map(({ status }) => status).filter((status) => ![0, 200].includes(status)));
  return [
    ...(seen.length < LEAST ? [`the former password was asked with ${seen.length} times only`] : []),
    ...[...others].map((one) => {
      const count = seen.filter(({ status }) => status === one).length;
      return `the former password was answered with ${one} ${count} times of ${seen.length}`;
    }),
  ];
}

async function passwordNow(lab: TestLab): Promise<string> {
  return ((await lab.outputs()).passwords as Record<string, string>)[USER] ?? "";
}

/**
 * The former password is right at every front all the while, the new one at every front once the update is over, and the
 * former one nowhere soon after its time.
 */
async function watchPassword(stage: Stage, lab: TestLab): Promise<(later: Later) => Promise<string[]>> {
  const former = await passwordNow(lab);
  const seen: Probe[] = [];
  const login = { ...stage.login, username: USER, password: former };
  const stop = probe(clientOf(stage), { login, paths: ["/v2/"], everyMs: PROBE_MS }, (one) => seen.push(one));
  return async (later) => {
    await stop();
    const now = await passwordNow(lab);
    const answers = await Promise.all(
      nodesOf(stage).map(async (node) => {
        const statuses: number[] = [];
        for (const password of [former, now, "neither"]) statuses.push(await statusAt(stage, node, password));
        const said = statuses.join();
        return said === "200,200,401" ? [] : [`${node.name} says ${said} to the old, the new, and neither`];
      }),
    );
    const until = untilIn(await lab.state());
    later(endOf(stage, { former, now, until }));
    return [
      ...wrongAnswers(seen),
      ...(now === former ? ["the password is the same"] : []),
      ...answers.flat(),
    ];
  };
}

/** Waits until the former password's time is over, and until no front takes it any more. */
async function endOf(
  stage: Stage,
  { former, now, until }: { readonly former: string; readonly now: string; readonly until: number },
): Promise<string[]> {
  await new Promise((resolve) => setTimeout(resolve, until * 1000 - Date.now()));
  const statuses = (password: string): Promise<number[]> =>
    Promise.all(nodesOf(stage).map((node) => statusAt(stage, node, password)));
  const gone = async (): Promise<true | undefined> =>
    (await statuses(former)).every((status) => status === 401) ? true : undefined;
  const refused = await waitFor(gone, SLACK_SECONDS * 1000, ASK_MS);
  const seconds = Math.round(Date.now() / 1000 - until);
  stage.say(`    the former password is ${refused ? "refused" : "right"} ${seconds} s after its time`);
  let answers: readonly number[] = [];
  const right = async (): Promise<true | undefined> => {
    answers = await statuses(now);
    return answers.every((status) => status === 200) ? true : undefined;
  };
  const isRight = await waitFor(right, ASK_MS, 1000);
  return [
    ...(refused ? [] : [`the former password is still right ${seconds} s after its time`]),
    ...(isRight ? [] : [`the new password gets ${answers.join(", ")}`]),
  ];
}

/** Serial number of what a node shows, as its own client sees it. */
async function serialAt(stage: Stage, node: Host): Promise<string> {
  const command = ["openssl", "s_client", "-connect", hostAt(stage, node)];
  const done = await run("ip", ["netns", "exec", clientOf(stage).netns, ...command], {
    input: "",
    timeoutMs: 10_000,
  });
  const pem = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(done.stdout)?.[0];
  return pem === undefined ? "nothing" : new X509Certificate(pem).serialNumber;
}

/** Every front shows the new certificate afterwards; the prober and the clients check its authority all the while. */
async function watchCertificate(stage: Stage): Promise<() => Promise<string[]>> {
  const serials = (): Promise<string[]> => Promise.all(nodesOf(stage).map((node) => serialAt(stage, node)));
  const before = await serials();
  return async () => {
    const after = await serials();
    const same = new Set(after).size === 1 && !before.includes(after[0] ?? "");
    return same ? [] : [`certificates were ${before.join(", ")} and are ${after.join(", ")}`];
  };
}

/** Both together; afterwards a plain update has nothing left to do. */
export const watchIdentity: Watch = async (stage, lab) => {
  const certificate = await watchCertificate(stage);
  const password = await watchPassword(stage, lab);
  return async (later) => {
    const problems = [...(await password(later)), ...(await certificate())];
    const left = await lab.plan().then(
      (plan) => plan.map(({ op, name }) => `${op} ${name}`),
      (error: unknown) => [String(error)],
    );
    return left.length > 0 ? [...problems, `a plain update would ${left.join(", ")}`] : problems;
  };
};
