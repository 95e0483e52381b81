/** Whether a fault does to its nodes what it says. */
import { run, startTime, waitFor } from "../../../lab/exec";
import { dataFolder, isReadOnly, isSlow, LEFT_MIB } from "../../../lab/faults/dataDisk";
import { frozenIn } from "../../../lab/faults/freezer";
import { shellIn, type Place } from "../../../lab/faults/place";
import { processesOfProgram, programNamed, type ProgramName } from "../../../lab/faults/processes";
import type { Host } from "../../../lab/instance";
import type { Hurt } from "../../support/hurt";

/** Why the fault does not bite; undefined if it does. */
type Probe = () => Promise<string | undefined>;

/** For a program to be killed or frozen; for a program to fail several times. */
const AT_ONCE_MS = 3000;
const IN_VAIN_MS = 60_000;
/** For a connection on a busy machine. */
const CONNECTED_MS = 10_000;

const SSH = 22;

/**
 * Looks at the nodes before a fault; the returned function looks at them during the fault.
 * @param restartsEtcd see `begin`
 */
export async function watchBites(
  hurt: Hurt,
  places: readonly Place[],
  restartsEtcd = false,
): Promise<() => Promise<string[]>> {
  const probes = await Promise.all(places.map((place) => probesOf(hurt, place, places, restartsEtcd)));
  const ask = async ({ host }: Place, probe: Probe): Promise<string[]> => {
    const why = await probe().catch((error: unknown) => `unknown: ${String(error)}`);
    return why === undefined ? [] : [`it does not bite on ${host.name}: ${why}`];
  };
  return async () => {
    const asked = places.flatMap((place, index) => (probes[index] ?? []).map((probe) => ask(place, probe)));
    return (await Promise.all(asked)).flat();
  };
}

async function probesOf(
  { fault, choice }: Hurt,
  place: Place,
  places: readonly Place[],
  restartsEtcd: boolean,
): Promise<Probe[]> {
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
      const etcd = restartsEtcd ? [await ended(place, "etcd")] : [];
      return [
        () => writable(place, (file) => `touch ${file}`),
        () => writtenThrough(place, "minio"),
        ...etcd,
      ];
    }
    case "corrupt":
      // The fault itself fails if it finds no file of MinIO.
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

/** Another node, or a client if no node is left, connects to this one before the fault, and not during it. */
async function reachedNoMore({ instance, host }: Place, places: readonly Place[]): Promise<Probe> {
  const others = instance.hosts.filter(({ name }) => !places.some((one) => one.host.name === name));
  const from = others.find(({ kind }) => kind === "node") ?? others[0];
  if (!from) return () => Promise.resolve("there is no host to connect from");
  if (!(await within(CONNECTED_MS, () => reaches(from, host))))
    return () => Promise.resolve(`${from.name} did not reach it before`);
  return async () => ((await reaches(from, host)) ? `${from.name} reaches it` : undefined);
}

async function stillReached({ instance, host }: Place): Promise<string | undefined> {
  const client = instance.hosts.find(({ kind }) => kind === "client");
  const reached = client && (await within(CONNECTED_MS, () => reaches(client, host)));
  return reached ? undefined : "no client reaches it";
}

/** The processes of a program now. @returns those that still live when it is called */
async function processesNow(place: Place, program: ProgramName): Promise<() => number[]> {
  const all = (await processesOfProgram(place, program)).map((pid) => ({ pid, start: startTime(pid) }));
  return () =>
    all.filter(({ pid, start }) => start !== undefined && startTime(pid) === start).map(({ pid }) => pid);
}

const within = (ms: number, done: () => Promise<boolean> | boolean): Promise<true | undefined> =>
  waitFor(async () => ((await done()) ? true : undefined), ms);

async function ended(place: Place, program: ProgramName): Promise<Probe> {
  const alive = await processesNow(place, program);
  const gone = (): boolean => alive().length === 0;
  return async () => ((await within(AT_ONCE_MS, gone)) ? undefined : `${program} lives`);
}

async function frozen(place: Place, program: ProgramName): Promise<Probe> {
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

/** A container's own mount stays writable while a file is open for writing. */
async function writtenThrough(place: Place, program: ProgramName): Promise<string | undefined> {
  const cannot = async (): Promise<boolean> => {
    const [pid] = await processesOfProgram(place, program);
    return pid !== undefined && isReadOnly(place, pid);
  };
  return (await within(AT_ONCE_MS, cannot)) ? undefined : `${program} can write to it`;
}

const etcdUnit = "moorage-etcd.service";

/** etcd ends again and again, since it cannot read its data. */
async function startedInVain(place: Place): Promise<Probe> {
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
