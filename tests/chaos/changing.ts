/** One change, from before its update until all is whole and everything has been read back. */
import { refusals, reasonsOf, turnedAway, unexplained, type ChangeRow } from "./changeRow";
import { urnsOf, type Change } from "./changes";
import { readBack } from "./clients";
import { watchPause } from "./pause";
import { countsOf, longestGap, secondsOfTwo, slowestFirstByte, type Span } from "./measure";
import type { Stage } from "./stage";
import type { Ran, TestLab } from "../support/testLab";

/** From when on the update is over, for what was under way at its end. */
const AFTER_MS = 5000;
const STRENGTH_SECONDS = 240;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Changes the configuration and updates. One that has to fail is put back, with an update that must not. */
async function update(lab: TestLab, change: Change): Promise<{ seconds: number; problems: string[] }> {
  const before = lab.stackFile();
  await change.before?.(lab);
  const edit = await change.edit?.(lab);
  if (edit) lab.changeConfig(edit);
  const urns = change.anew ? urnsOf(await lab.state(), change.anew) : [];
  if (change.anew && urns.length === 0)
    return { seconds: 0, problems: [`there is no ${change.anew.source}`] };
  const unsaid: string[] = [];
  const preview = change.says && (await lab.pulumi(["preview"]));
  if (preview && !change.says.before.test(preview.output))
    unsaid.push(`a preview does not say ${change.says.before.source}`);
  const start = Date.now();
  const ran = await lab.up(urns.flatMap((urn) => ["--replace", urn]));
  const seconds = (Date.now() - start) / 1000;
  if (change.says && !change.says.meanwhile.test(ran.output))
    unsaid.push(`the update does not say ${change.says.meanwhile.source}`);
  if (!change.fails) return { seconds, problems: [...unsaid, ...(ran.code === 0 ? [] : [failure(ran)])] };
  lab.changeConfig(before);
  const back = await lab.up();
  const problems = [
    ...unsaid,
    ...(ran.code === 0 ? ["the update did not fail"] : []),
    ...(change.fails.test(ran.output)
      ? []
      : [`the update does not say ${change.fails.source}: ${failure(ran)}`]),
    ...(back.code === 0 ? [] : [`with the configuration put back: ${failure(back)}`]),
  ];
  return { seconds, problems };
}

const failure = ({ code, output }: Ran): string =>
  `pulumi up ended with ${code}: ${output
    .split("\n")
    .filter((line) => /error|failed/i.test(line))
    .slice(-4)
    .join(" / ")
    .slice(0, 600)}`;

/** Does one change, and gives back its row of figures. */
export async function changeRound(stage: Stage, lab: TestLab, change: Change): Promise<ChangeRow> {
  stage.say(`change: ${change.name}`);
  const ended = await change.watch?.(stage, lab);
  const pause = change.pauses ? watchPause(stage) : undefined;
  const from = Date.now();
  const { seconds, problems } = await update(lab, change).catch(async (error: unknown) => {
    await pause?.();
    await ended?.();
    throw error;
  });
  await wait(AFTER_MS);
  const pauseSeconds = await pause?.();
  const to = Date.now();
  const span: Span = { from, to };
  const { probes, load, vip } = stage;
  // Taken now: a watch may go on for minutes.
  const within = [...probes].filter(({ at }) => at >= from && at <= to);
  const good = within.filter(({ status }) => status === 200);
  const outcomes = load.outcomes.filter((one) => one.end >= from && one.start <= to);
  const figures = {
    pushes: countsOf(outcomes, "push", span),
    pulls: countsOf(outcomes, "pull", span),
    probes: { all: within.length, unanswered: within.length - good.length },
    gapMs: longestGap(probes, "/v2/", span),
    slowestMs: slowestFirstByte(good, [span]),
    secondsOfTwo: secondsOfTwo(vip.samples, span),
  };
  for (const { kind, client, ok, start, error } of outcomes
    .filter((one) => one.error !== undefined)
    .slice(0, 12))
    stage.say(
      `    ${kind} from ${client} ${((start - from) / 1000).toFixed(1)} s: ${ok ? "again" : "failed"}: ${error}`,
    );
  const watched = (await ended?.()) ?? [];
  let missing: readonly string[] = [];
  const whole = await stage.strength.until(STRENGTH_SECONDS, (now) => (missing = now));
  const [, reader] = stage.clients;
  const lost = reader ? await readBack(reader, stage.login, stage.ledger.entries) : ["nobody reads back"];
  for (const loss of lost.slice(0, 5)) stage.say(`    ${loss}`);
  return {
    name: change.name,
    ...figures,
    pauseSeconds,
    lost,
    seconds,
    reasons: reasonsOf(outcomes),
    problems: [
      ...problems,
      ...watched,
      ...refusals(within),
      ...(change.fronts ? turnedAway(within, outcomes) : []),
      ...unexplained(outcomes),
      ...(whole === undefined ? [`missing: ${missing.join(", ")}`] : []),
    ],
  };
}
