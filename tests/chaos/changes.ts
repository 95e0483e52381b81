/** What is changed under load: each by `pulumi up`, and to something else each time, so that it can be done again. */
import * as fs from "node:fs";
import * as path from "node:path";
import { parseDocument, type Document } from "yaml";
import { LabError } from "../../lab/exec";
import type { Platform } from "../../lab/instance";
import { variantOf } from "../support/images";
import type { TestLab } from "../support/testLab";
import type { Expected } from "./causes";
import { watchIdentity } from "./identity";
import type { Stage } from "./stage";
import { watchStoreKey } from "./storeKey";
import { otherProgram } from "./variants";
import { watchTurns, type Restarts } from "./turns";

/** Changes the stack's configuration. */
export type Edit = (config: Document) => void;

/** Takes what is found out only later, and waited for beside the next change. */
export type Later = (found: Promise<readonly string[]>) => void;

/**
 * Looks on from before an update; what comes back ends that, and gives what was found wrong.
 * @param holder the node that has the VIP before it
 */
export type Watch = (
  stage: Stage,
  lab: TestLab,
  holder: string,
) => Promise<(later: Later) => Promise<readonly string[]>>;

/** An update that has to fail, after which all goes back by itself. */
interface Failing {
  readonly edit: (lab: TestLab) => Promise<Edit>;
  readonly says: RegExp;
}

export interface Change {
  readonly name: string;
  /** What of the configuration is another one; nothing where resources are only replaced. */
  readonly edit?: (lab: TestLab, holder: string) => Promise<Edit> | Edit;
  /** Resources that the update makes anew, by name, as when they are due. */
  readonly anew?: readonly string[];
  /** Updates that have to fail, in place of one that must not; each puts back what the one before it wanted. */
  readonly fails?: readonly Failing[];
  readonly watch?: Watch;
  /** What it starts anew. */
  readonly restarts?: Restarts;
  /** What is done before, by hand. */
  readonly before?: (lab: TestLab, holder: string) => Promise<void>;
  /** What a preview has to say of it, and the update. */
  readonly says?: { readonly before?: RegExp; readonly meanwhile?: RegExp };
  /** Whether it takes a pause, which is measured. */
  readonly pauses?: boolean;
  /** Whether pushes go on as if nothing was, so that none may fail for good. */
  readonly pushesGoOn?: boolean;
  /** For what pushes may fail for good; whatever else they fail for breaks the row. */
  readonly expects?: readonly Expected[];
  /** Whether nginx stops somewhere, which no connection may notice by being refused. */
  readonly fronts?: boolean;
  /** The only platform it can be done on. */
  readonly platform?: Platform;
}

const at = (subject: string, ...keys: string[]): string[] => ["config", `moorage:${subject}`, ...keys];

/** One of two values: the one that is not there. */
const other =
  (where: string[], one: unknown, two: unknown): Edit =>
  (config) =>
    config.setIn(where, config.getIn(where) === one ? two : one);

const all =
  (edits: readonly Edit[]): Edit =>
  (config) => {
    for (const edit of edits) edit(config);
  };

type Image = Parameters<Parameters<typeof variantOf>[2]>[0] & { config: { Env?: string[] } };

type Spoil = (config: Image["config"]) => void;

const withoutPrograms: Spoil = (config) => (config.Env = ["PATH=/nowhere"]);
/** Its program is found by no PATH. */
const withoutConfiguration: Spoil = (config) =>
  (config.Entrypoint = ["/bin/registry", "serve", "/no/such/config.yml"]);

const BROKEN = "broken-";

/** Where a variant of an image goes; an archive that was there before is none of a new one's. */
function variantFile(lab: TestLab, name: string): string {
  const folder = path.join(lab.instance.dir, "variants");
  fs.mkdirSync(folder, { recursive: true });
  return path.join(folder, `${name}-${Date.now()}.tar`);
}

/** The archive that a stack has an image from: what an earlier change put there is what the next one changes. */
export function archiveIn(stackFile: string, name: string, images: string): string {
  const archive = parseDocument(stackFile).getIn(at("images", name, "archive"));
  const isVariant = typeof archive === "string" && path.isAbsolute(archive) && fs.existsSync(archive);
  // An update that was cut off may have left one that has to fail.
  return isVariant && !path.basename(archive).startsWith(BROKEN) ? archive : path.join(images, `${name}.tar`);
}

/** MinIO that does the same, and is not the same program. */
async function otherMinio(lab: TestLab): Promise<Edit> {
  const archive = variantFile(lab, "minio");
  await otherProgram(path.join(lab.images, "minio.tar"), archive, "usr/bin/minio");
  return (config) => config.setIn(at("images", "minio"), { archive });
}

/** An image of the same programs with another digest, or one that cannot run them. */
async function image(lab: TestLab, name: string, spoil?: Spoil): Promise<Edit> {
  const archive = variantFile(lab, spoil ? `${BROKEN}${name}` : name);
  await variantOf(archiveIn(lab.stackFile(), name, lab.images), archive, ({ config }: Image) => {
    config.Labels = { variant: String(Date.now()) };
    spoil?.(config);
  });
  return (config) => config.setIn(at("images", name), { archive });
}

const broken = (name: string, spoil: Spoil, says: RegExp): Failing => ({
  edit: (lab) => image(lab, name, spoil),
  says,
});

/** Of a front that stops, after the VIP has left it. */
const cut: Expected = {
  cause: "cut",
  because: "what is under way on a front that the VIP leaves ends with it",
};

const lostUpload: Expected = {
  cause: "lostUpload",
  because: "an upload that was begun under the former secret has to begin anew",
};

/** Of a store that starts anew as a whole. */
const pausing: readonly Expected[] = (["unavailable", "inside", "cut", "slow"] as const).map((cause) => ({
  cause,
  because: "no member of MinIO serves until all have found each other",
}));

/** How long a former password is right: longer than it takes to bring the new one to every front. */
const PREVIOUS_MINUTES = 4;

/** The holder says that it was installed otherwise, which is what a node says whose configuration has changed since. */
async function installedOtherwise(lab: TestLab, holder: string): Promise<void> {
  await lab.mustRoot(holder, `echo '{"installHash":"another"}' > /etc/moorage/install.json`);
  const { output } = await lab.refresh();
  if (!output.includes(`${holder}: runs another installation than the recorded one`))
    throw new LabError(`a refresh does not say that ${holder} has to be installed anew:\n${output}`);
}

/** What can be changed together is, as each update takes minutes; no name has a comma, by which names are chosen. */
export const changes: readonly Change[] = [
  {
    name: "nginx + registry + keepalived: other images",
    edit: async (lab) =>
      all(await Promise.all(["nginx", "registry", "keepalived"].map((name) => image(lab, name)))),
    fronts: true,
    restarts: { programs: ["nginx", "registry", "keepalived"], where: "every node" },
    expects: [cut],
  },
  {
    name: "nginx + registry + keepalived: other settings and secret of uploads",
    edit: () =>
      all([
        other(at("edge", "proxyTimeoutSeconds"), 600, 900),
        other(at("registry", "logLevel"), "warn", "info"),
        other(at("edge", "virtualRouterId"), 52, 51),
      ]),
    anew: ["registry-http-secret"],
    fronts: true,
    // A changed configuration of keepalived is read by all of them at once: docs/decisions/0012.
    restarts: { programs: ["nginx", "registry"], where: "every node" },
    expects: [cut, lostUpload],
  },
  {
    // One update of all three would end at the registries, which nginx waits for, and keepalived for nginx.
    name: "registry + nginx + keepalived: images that do not start",
    fails: [
      broken("registry", withoutConfiguration, /service registry-\S+: Swarm rolled the update back/),
      broken("nginx", withoutPrograms, /service nginx: Swarm rolled the update back/),
      broken("keepalived", withoutPrograms, /went back to what it had before/),
    ],
    fronts: true,
    restarts: { programs: ["nginx", "registry", "keepalived"], where: "the first alone" },
    expects: [cut],
  },
  {
    name: "the front's certificate renewed + a user's password",
    edit: () => (config) => config.setIn(at("registry", "previousPasswordMinutes"), PREVIOUS_MINUTES),
    anew: ["ca-front-certificate", "registry-user-reader"],
    fronts: true,
    watch: watchIdentity,
    restarts: { programs: ["nginx"], where: "every node" },
    expects: [cut],
  },
  {
    // Every front is there all the while, as the end of the former password has to be seen at each.
    name: "MinIO: another image of the same version",
    edit: (lab) => image(lab, "minio"),
    says: { before: /storage: this update: the members of MinIO are changed one by one/ },
    pushesGoOn: true,
    restarts: { programs: ["minio"], where: "every node" },
  },
  {
    name: "MinIO: another program",
    edit: otherMinio,
    says: {
      before: /storage: this update: .*another version of it, all members of MinIO restart together/,
      meanwhile: /storage: MinIO is changed on all nodes at once: versions of MinIO do not serve together/,
    },
    pauses: true,
    expects: pausing,
  },
  {
    name: "registries: another key for the store",
    anew: ["store-registry-key"],
    says: { meanwhile: /storage: user \S+ is removed: no registry has its key any more/ },
    watch: watchStoreKey,
    restarts: { programs: ["registry"], where: "every node" },
  },
  {
    name: "nodes: Docker restarted for a setting",
    edit: () => (config) => {
      const where = at("os", "proxies", "exclude");
      if (config.hasIn(where)) config.deleteIn(where);
      else config.setIn(where, ["elsewhere.test"]);
    },
    watch: watchTurns("all"),
    fronts: true,
    expects: [cut],
  },
  {
    name: "nodes: the VIP's holder rebooted for a setting",
    edit: (_lab, holder) => other(at("nodes", holder, "guest", "memory"), 3072, 2048),
    says: {
      meanwhile:
        /(\S+): this update switches it off, the node drained meanwhile; other: memory[^]*\b\1: drained[^]*\b\1: switching off[^]*\b\1: answers after[^]*\b\1: back in service after/,
    },
    watch: watchTurns("holder"),
    fronts: true,
    platform: "virtualbox",
    expects: [cut],
  },
  {
    name: "nodes: the VIP's holder installed anew",
    before: installedOtherwise,
    says: {
      meanwhile:
        /(\S+): this update reinstalls the node[^]*\b\1: drained[^]*\b\1: left the Swarm[^]*\b\1: installed and up[^]*\b\1: serves again/,
    },
    watch: watchTurns("holder"),
    fronts: true,
    platform: "virtualbox",
    expects: [cut],
  },
];

/** Changes whose name has one of the texts in it, in the order of the texts; `change` means all of them. */
export function chosenChanges(texts: string): Change[] {
  const wanted = texts.split(",").map((one) => one.trim());
  return [
    ...new Set(wanted.flatMap((text) => changes.filter(({ name }) => `change: ${name}`.includes(text)))),
  ];
}

/** URNs in a state of the resources that have one of the names. */
export function urnsOf(state: string, names: readonly string[]): string[] {
  const { deployment } = JSON.parse(state) as { deployment?: { resources?: { urn: string }[] } };
  return (deployment?.resources ?? [])
    .map(({ urn }) => urn)
    .filter((urn) => names.includes(urn.slice(urn.lastIndexOf("::") + 2)));
}
