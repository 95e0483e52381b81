/** Whether a fault does to its nodes what it says: a row in which nothing was hurt proves nothing. */
import { run, startTime, waitFor } from "../../lab/exec";
import { dataFolder, isReadOnly, isSlow, LEFT_MIB } from "../../lab/faults/dataDisk";
import { frozenIn } from "../../lab/faults/freezer";
import { shellIn, type Place } from "../../lab/faults/place";
import { processesOfProgram, programNamed, type ProgramName } from "../../lab/faults/processes";
import type { Host } from "../../lab/instance";
import { killsEtcd } from "./hurt";
import type { Role, Step } from "./plan";

/** Why it does not bite; nothing where it does. */
type Look = () => Promise<string | undefined>;

/** What is killed or frozen is so within this time; what has to be tried in vain first, within the other. */
const AT_ONCE_MS = 3000;
const IN_VAIN_MS = 60_000;
/** A machine with much to do connects late. */
const CONNECTED_MS = 10_000;

const SSH = 22;

/** Looks at the nodes before a step; what comes back looks at them after its fault was begun. */
export async function watchBites(
  step: Step,
  places: readonly Place[],
  hurt: readonly Role[],
): Promise<() => Promise<string[]>> {
  const looks = await Promise.all(places.map((place) => looksAt(step, place, places, hurt)));
  const look = async ({ host }: Place, one: Look): Promise<string[]> => {
    const why = await one().catch((error: unknown) => `not to be seen: ${String(error)}`);
    return why === undefined ? [] : [`it does not bite on ${host.name}: ${why}`];
  };
  return async () => {
    const said = places.flatMap((place, index) => (looks[index] ?? []).map((one) => look(place, one)));
    return (await Promise.all(said)).flat();
  };
}

async function looksAt(
  { fault, choice }: Step,
  place: Place,
  places: readonly Place[],
  hurt: readonly Role[],
): Promise<Look[]> {
  switch (fault) {
    case "power":
    case "freeze-host":
    case "drop-in":
    case "drop-out":
    case "drop":
    case "lose":
      return [await reachedNoMore(place, places)];
    case "cut-off":
      return [await reachedNoMore(place, places), () => stillReached(place)];
    case "kill":
      return [await ended(place, programNamed(choice))];
    case "freeze":
      return [await frozen(place, programNamed(choice))];
    case "slow-disk":
      return [async () => ((await isSlow(place)) ? undefined : "small writes are fast")];
    case "full-disk":
      return [
        () => writable(place, (file) => `dd if=/dev/zero of=${file} bs=1M count=${LEFT_MIB} conv=fsync`),
      ];
    case "read-only-disk": {
      const etcd = killsEtcd(fault, hurt) ? [await ended(place, "etcd")] : [];
      return [
        () => writable(place, (file) => `touch ${file}`),
        () => writtenThrough(place, "minio"),
        ...etcd,
      ];
    }
    case "corrupt":
      // Where no file of MinIO's was changed the fault has said so itself, also where none was there to be lost.
      return choice === "etcd" ? [await startedInVain(place)] : [];
    case "wipe":
      return choice === "etcd" ? [() => waiting(place)] : [];
    default:
      return fault satisfies never;
  }
}

async function reaches(from: Host, { address }: Host): Promise<boolean> {
  const command = ["timeout", "2", "bash", "-c", `exec 3<>/dev/tcp/${address}/${SSH}`];
  return (await run("ip", ["netns", "exec", from.netns, ...command])).code === 0;
}

/** Another node connects to this one before, and not afterwards; where no other is left, a client. */
async function reachedNoMore({ instance, host }: Place, places: readonly Place[]): Promise<Look> {
  const others = instance.hosts.filter(({ name }) => !places.some((one) => one.host.name === name));
  const from = others.find(({ kind }) => kind === "node") ?? others[0];
  if (!from) return () => Promise.resolve("there is no host to look from");
  if (!(await within(CONNECTED_MS, () => reaches(from, host))))
    return () => Promise.resolve(`${from.name} did not reach it before`);
  return async () => ((await reaches(from, host)) ? `${from.name} reaches it` : undefined);
}

async function stillReached({ instance, host }: Place): Promise<string | undefined> {
  const client = instance.hosts.find(({ kind }) => kind === "client");
  const reached = client && (await within(CONNECTED_MS, () => reaches(client, host)));
  return reached ? undefined : "no client reaches it";
}

/** The processes of a program, and what tells whether one of them lives. */
async function processesNow(place: Place, program: ProgramName): Promise<() => number[]> {
  const all = (await processesOfProgram(place, program)).map((pid) => ({ pid, start: startTime(pid) }));
  return () =>
    all.filter(({ pid, start }) => start !== undefined && startTime(pid) === start).map(({ pid }) => pid);
}

const within = (ms: number, done: () => Promise<boolean> | boolean): Promise<true | undefined> =>
  waitFor(async () => ((await done()) ? true : undefined), ms);

async function ended(place: Place, program: ProgramName): Promise<Look> {
  const alive = await processesNow(place, program);
  const gone = (): boolean => alive().length === 0;
  return async () => ((await within(AT_ONCE_MS, gone)) ? undefined : `${program} lives`);
}

async function frozen(place: Place, program: ProgramName): Promise<Look> {
  const alive = await processesNow(place, program);
  const all = (): boolean => {
    const cold = new Set(frozenIn(place));
    const left = alive();
    return left.length > 0 && left.every((pid) => cold.has(pid));
  };
  return async () => ((await within(AT_ONCE_MS, all)) ? undefined : `${program} is not frozen`);
}

async function writable(place: Place, write: (file: string) => string): Promise<string | undefined> {
  const file = `${await dataFolder(place)}/.lab-look`;
  const line = `${write(file)} 2>/dev/null; code=$?; rm -f ${file} 2>/dev/null; exit $code`;
  const { code } = await shellIn(place, line);
  return code === 0 ? "its data disk can be written" : undefined;
}

/** A container has mounts of its own, which stay as they are while a file is open for writing. */
async function writtenThrough(place: Place, program: ProgramName): Promise<string | undefined> {
  const cannot = async (): Promise<boolean> => {
    const [pid] = await processesOfProgram(place, program);
    return pid !== undefined && isReadOnly(place, pid);
  };
  return (await within(AT_ONCE_MS, cannot)) ? undefined : `${program} can write to it`;
}

const etcdUnit = "moorage-etcd.service";

/** etcd ends again and again: by that the update knows that its data cannot be read. */
async function startedInVain(place: Place): Promise<Look> {
  const restarts = async (): Promise<number> =>
    Number((await shellIn(place, `systemctl show -p NRestarts --value ${etcdUnit}`)).stdout);
  const before = await restarts();
  const often = async (): Promise<boolean> => (await restarts()) > before + 3;
  return async () => ((await within(IN_VAIN_MS, often)) ? undefined : "etcd reads its data");
}

async function waiting(place: Place): Promise<string | undefined> {
  const waits = async (): Promise<boolean> => {
    const { stdout } = await shellIn(place, `journalctl -u ${etcdUnit} -n 1 -o cat`);
    return /no data here: waiting/.test(stdout);
  };
  return (await within(IN_VAIN_MS, waits)) ? undefined : "etcd does not wait for data";
}
