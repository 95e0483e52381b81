/** What is changed under load: each by one `pulumi up`, and to something else each time, so that it can be done again. */
import * as fs from "node:fs";
import * as path from "node:path";
import { parseDocument, type Document } from "yaml";
import { LabError } from "../../lab/exec";
import type { Platform } from "../../lab/instance";
import { reinstall } from "../../lab/lab";
import { variantOf } from "../support/images";
import type { TestLab } from "../support/testLab";
import type { Stage } from "./stage";
import { otherProgram } from "./variants";
import { watchTurns } from "./turns";
import { watchCertificate, watchPassword } from "./watches";

/** Changes the stack's configuration. */
type Edit = (config: Document) => void;

/** Looks on from before an update; what comes back ends that, and gives what was found wrong. */
export type Watch = (stage: Stage, lab: TestLab) => Promise<() => Promise<string[]>>;

export interface Change {
  readonly name: string;
  /** What of the configuration is another one; nothing where resources are only replaced. */
  readonly edit?: (lab: TestLab) => Promise<Edit> | Edit;
  /** Resources that the update makes anew, by name, as when they are due. */
  readonly anew?: RegExp;
  /** What the update has to fail with, having gone back by itself. */
  readonly fails?: RegExp;
  readonly watch?: Watch;
  /** What is done before, by hand. */
  readonly before?: (lab: TestLab) => Promise<void>;
  /** What a preview has to say of it, and the update. */
  readonly says?: { readonly before: RegExp; readonly meanwhile: RegExp };
  /** Whether it takes a pause, which is measured. */
  readonly pauses?: boolean;
  /** Whether each nginx is started anew, which no connection may notice by being refused. */
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

/** How long a former password is right in the change of one. */
export const PREVIOUS_MINUTES = 5;

function shortenPrevious(config: Document): void {
  config.setIn(at("registry", "previousPasswordMinutes"), PREVIOUS_MINUTES);
}

/** The last node, so that those before it need not elect a leader. */
const INSTALLED = "coreos4";

/** The node says that it was installed otherwise, and its live installer is booted, as an operator does it. */
async function bootInstaller(lab: TestLab): Promise<void> {
  await lab.mustRoot(INSTALLED, `echo '{"installHash":"another"}' > /etc/moorage/install.json`);
  const { output } = await lab.refresh();
  if (!output.includes(`${INSTALLED}: runs another installation than the recorded one`))
    throw new LabError(`a refresh does not say that ${INSTALLED} has to be installed anew:\n${output}`);
  await reinstall(lab.instance, lab.host(INSTALLED));
}

export const changes: readonly Change[] = [
  {
    name: "nginx: a setting",
    edit: () => other(at("edge", "proxyTimeoutSeconds"), 600, 900),
    fronts: true,
  },
  { name: "nginx: another image", edit: (lab) => image(lab, "nginx"), fronts: true },
  {
    name: "nginx: an image that does not start",
    edit: (lab) => image(lab, "nginx", withoutPrograms),
    fails: /service nginx: Swarm rolled the update back/,
    fronts: true,
  },
  { name: "registry: a setting", edit: () => other(at("registry", "logLevel"), "warn", "info") },
  { name: "registry: another image", edit: (lab) => image(lab, "registry") },
  {
    name: "registry: an image that does not start",
    edit: (lab) => image(lab, "registry", withoutConfiguration),
    fails: /service registry-\S+: Swarm rolled the update back/,
  },
  { name: "registry: the secret of its uploads", anew: /^registry-http-secret$/ },
  { name: "keepalived: another virtual router", edit: () => other(at("edge", "virtualRouterId"), 52, 51) },
  { name: "keepalived: another image", edit: (lab) => image(lab, "keepalived") },
  {
    name: "keepalived: an image that does not start",
    edit: (lab) => image(lab, "keepalived", withoutPrograms),
    fails: /went back to what it had before/,
  },
  {
    name: "the front's certificate renewed",
    anew: /^ca-front-certificate$/,
    watch: watchCertificate,
    fronts: true,
  },
  {
    name: "a user's password",
    edit: () => shortenPrevious,
    anew: /^registry-user-reader$/,
    watch: watchPassword,
    fronts: true,
  },
  { name: "MinIO: another image of the same version", edit: (lab) => image(lab, "minio") },
  {
    name: "MinIO: another program",
    edit: otherMinio,
    says: {
      before: /storage: this update: .*another version of it, all members of MinIO restart together/,
      meanwhile: /storage: MinIO is changed on all nodes at once: versions of MinIO do not serve together/,
    },
    pauses: true,
  },
  {
    name: "nodes: Docker restarted for a setting",
    edit: () => (config) => {
      const where = at("os", "proxies", "exclude");
      config.setIn(where, config.hasIn(where) ? undefined : ["elsewhere.test"]);
      if (config.getIn(where) === undefined) config.deleteIn(where);
    },
    watch: watchTurns({ drained: true }),
  },
  {
    name: "nodes: one installed anew",
    before: bootInstaller,
    // A live installer is booted by its machine's power switch, past any drain.
    watch: watchTurns({ only: INSTALLED, drained: false }),
    platform: "metal",
  },
];

/** Changes whose name has one of the texts in it, in the order of the texts; `change` means all of them. */
export function chosenChanges(texts: string): Change[] {
  const wanted = texts.split(",").map((one) => one.trim());
  return [
    ...new Set(wanted.flatMap((text) => changes.filter(({ name }) => `change: ${name}`.includes(text)))),
  ];
}

/** Names of the resources of a state, with their URNs. */
export function urnsOf(state: string, names: RegExp): string[] {
  const { deployment } = JSON.parse(state) as { deployment?: { resources?: { urn: string }[] } };
  return (deployment?.resources ?? [])
    .map(({ urn }) => urn)
    .filter((urn) => names.test(urn.slice(urn.lastIndexOf("::") + 2)));
}
