import { beforeEach, describe, expect, it } from "vitest";
import type { Store } from "../../../hosts/src/contract";
import { storageSpares } from "../../../hosts/src/storage/spare";
import { swarmMember } from "../../../hosts/src/swarm/member";
import { outOfService } from "../../../hosts/src/swarm/out-of-service";
import { newUpdate } from "../../support/newUpdate";
import { frame } from "./support/fake-docker";
import { canSandbox } from "./support/sandbox";
import { engines, memberInputs, type Engine } from "./support/sim-swarm";
import { hurry } from "./support/stop";

/** Of `timeout`, by which `mc ready` ends while the maintenance check says no. */
const refused = 124;

const commands = ({ docker }: Engine): string[] =>
  docker.calls("POST", /\/exec$/).map(({ body }) => (JSON.parse(body) as { Cmd: string[] }).Cmd.join(" "));

/** Three members of MinIO, the first of which sees to healing where there is a script. */
async function members() {
  const all = (await engines("a", "b", "c")) as [Engine, Engine, Engine];
  const storageNodes = all.map(({ connection }) => connection);
  const store: Store = { storageNodes, services: { a: "store", b: "store", c: "store" } };
  const minio = { all, drive: "ok", lists: true };
  for (const engine of all) {
    engine.containers.add(`store-${engine.name}`);
    const heals = () => commands(engine).at(-1)?.includes("admin heal") === true;
    engine.docker.onUpgrade = (_seen, socket) =>
      void socket.end(heals() ? frame(1, `{ "state": "ok" }, { "state": "${minio.drive}" }`) : undefined);
    engine.docker.on("GET", /^\/exec\/exec\/json$/, () => ({
      json: { ExitCode: heals() && !minio.lists ? 1 : engine.mcEnds },
    }));
  }
  return { all, store, minio };
}

type Members = Awaited<ReturnType<typeof members>>;

function healingScript([first]: Engine[], line: string): void {
  first?.sandbox.write("etc/moorage/healing/heal.sh", line);
}

beforeEach(() => hurry());

describe.skipIf(!canSandbox)("whether MinIO can do without the drive of b", () => {
  it.each<[string, (members: Members) => unknown, RegExp | undefined]>([
    ["all say so", () => undefined, undefined],
    ["no MinIO runs there", ({ all }) => all[1].containers.clear(), undefined],
    [
      "one needs every drive",
      ({ all }) => (all[2].mcEnds = refused),
      /^b: MinIO on c cannot do without a drive, for 4 s now: it needs every drive, or heals one\. Mend that .* `docker service scale --detach store=0` on a manager$/,
    ],
    [
      "one does not run",
      ({ all }) => all[0].containers.clear(),
      /MinIO on a .*: no container of store runs here/,
    ],
    [
      "its own Docker does not say",
      ({ all }) =>
        all[1].docker.on("GET", /^\/containers\/json$/, () => ({ status: 500, json: { message: "busy" } })),
      /^b: MinIO cannot do without .*: Docker, looking for a container of store: busy/,
    ],
    ["an answer is cut off", ({ all }) => (all[1].mcEnds = 137), /`mc ready` ended with exit code 137/],
    [
      "no list of its objects ends well",
      ({ minio }) => (minio.lists = false),
      /does not say which drives it reaches/,
    ],
    ["one drive is not reached", ({ minio }) => (minio.drive = "offline"), /does not reach every drive yet/],
    [
      "its drives are not healed",
      ({ all }) => healingScript(all, "exit 1"),
      /^b: MinIO on a: healing what a drive has missed failed/,
    ],
    ["its drives are healed", ({ all }) => healingScript(all, "exit 0"), undefined],
  ])("%s", async (_what, prepare, reason) => {
    const found = await members();
    prepare(found);
    const spares = storageSpares("b", found.store, 4);
    if (reason) await expect(spares).rejects.toThrow(reason);
    else await spares;
  });

  it("is waited for before b is drained; too long a wait leaves it in service", async () => {
    newUpdate();
    const { all, store } = await members();
    const [, b, c] = all;
    for (const engine of all) await swarmMember.create(memberInputs(engine, all));
    const managers = all.map(({ connection }) => connection);
    const goes = (work: () => Promise<void>) => outOfService(b.connection, { managers, store }, work);
    c.mcEnds = refused;
    hurry(undefined, 60);
    await expect(goes(() => Promise.reject(new Error("touched")))).rejects.toThrow(
      /^b: MinIO on c cannot do without a drive/,
    );
    expect(all[0].cluster?.moves).toEqual([]);
    expect(b.sandbox.read("etc/moorage/out-of-service")).toBeUndefined();
    newUpdate();
    let pauses = 0;
    hurry(() => void ((pauses += 1) === 3 && (c.mcEnds = 0)));
    await goes(() => Promise.resolve());
    expect(all[0].cluster?.moves).toEqual(["b drain", "b active"]);
  });
});
