/** Acceptance: the proof that what was deployed works. Lost service fails it; lost redundancy is a warning. */
import type { AcceptanceInputs, AcceptanceOutputs, CheckResult, Operation } from "../contract";
import { diffOf } from "../diff";
import { HostError, messageOf } from "../errors";
import { note, warn } from "../log";
import { withoutProvider } from "../operation";
import { couldNotAsk } from "../ssh/pool";
import { Deadline, sleep } from "../time";
import { RegistryClient } from "./client";
import { checkCatalog, checkCertificate, checkLogin, checkPushAndPull } from "./registry";
import { checkNodes, checkServices, checkStorage } from "./swarm";
import { checkVip } from "./vip";

const RETRY_SECONDS = 3;

type Check = () => Promise<string | CheckResult>;

/** Whatever a check throws is its finding. */
async function result(name: string, check: Check): Promise<CheckResult> {
  try {
    const found = await check();
    return typeof found === "string" ? { name, status: "ok", detail: found } : found;
  } catch (error) {
    return { name, status: "failed", detail: messageOf(error) };
  }
}

/** A client by way of the first node that can be reached; the registry's own faults are left to the checks. */
async function reachable(inputs: AcceptanceInputs): Promise<RegistryClient> {
  const reasons: string[] = [];
  for (const node of inputs.nodes) {
    const client = new RegistryClient(inputs, node);
    try {
      await client.certificate();
      return client;
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      reasons.push(`${couldNotAsk(error) ? "" : "by way of "}${messageOf(error)}`);
    }
  }
  throw new HostError(
    "registry",
    `cannot be reached by way of any node:${reasons.map((each) => `\n  ${each}`).join("")}`,
  );
}

async function runChecks(inputs: AcceptanceInputs): Promise<CheckResult[]> {
  const carriers = [
    result("VIP", () => checkVip(inputs)),
    result("nodes", () => checkNodes(inputs)),
    result("services", () => checkServices(inputs)),
    result("storage", () => checkStorage(inputs)),
  ];
  const checks: CheckResult[] = [];
  const client = await reachable(inputs).catch((error: unknown) => messageOf(error));
  if (typeof client === "string") checks.push({ name: "registry", status: "failed", detail: client });
  else {
    checks.push(await result("certificate", () => checkCertificate(client)));
    checks.push(await result("login", () => checkLogin(client)));
    checks.push(await result("push and pull", () => checkPushAndPull(client, inputs)));
    checks.push(await result("catalog", () => checkCatalog(client)));
  }
  return [...checks, ...(await Promise.all(carriers))];
}

/** Repeats the checks while some fail and there is time: a stack just deployed may still be settling. */
async function run(inputs: AcceptanceInputs): Promise<AcceptanceOutputs> {
  const deadline = new Deadline(inputs.timeoutSeconds);
  let report = await runChecks(inputs);
  while (report.some((check) => check.status === "failed") && deadline.left() > RETRY_SECONDS) {
    await sleep(RETRY_SECONDS * 1000);
    report = await runChecks(inputs);
  }
  for (const check of report.filter(({ status }) => status === "warning")) warn(check.name, check.detail);
  const failed = report.filter((check) => check.status === "failed");
  if (failed.length > 0) {
    const lines = failed.map((check) => `  ${check.name}: ${check.detail}`);
    throw new Error(
      `acceptance: ${failed.length} of ${report.length} checks failed after ${deadline.elapsed} s:\n${lines.join("\n")}`,
    );
  }
  note("acceptance", `${report.length} checks passed in ${deadline.elapsed} s`);
  return { ...withoutProvider(inputs), report };
}

/** Checks, by one round, what is deployed now; for the operator's own tools. Throws nothing. */
export function acceptanceReport(inputs: AcceptanceInputs): Promise<CheckResult[]> {
  return runChecks(inputs);
}

/** Runs when `fingerprint` changes. Fails with every failed check; `read` asks nobody, `delete` does nothing. */
export const acceptance: Operation<AcceptanceInputs, AcceptanceOutputs> = {
  async create(inputs) {
    return { id: "acceptance", outs: await run(inputs) };
  },
  read(id, state) {
    return Promise.resolve({ id, outs: state });
  },
  diff(state, inputs) {
    return diffOf(state, inputs, { outputOnly: ["report"] });
  },
  async update(_id, state, inputs) {
    if (state.fingerprint !== inputs.fingerprint) return run(inputs);
    return { ...withoutProvider(inputs), report: state.report };
  },
  delete() {
    return Promise.resolve();
  },
};
