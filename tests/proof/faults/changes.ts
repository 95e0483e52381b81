/** Changes under load: each by `pulumi up`, and to another value each time, so that it can be done again. */
import * as fs from "node:fs";
import * as path from "node:path";
import { parseDocument, type Document } from "yaml";
import { LabError } from "../../../lab/exec";
import type { Platform } from "../../../lab/instance";
import { variantOf } from "../../support/images";
import type { TestLab } from "../../support/testLab";
import { pause } from "../../support/waiting";
import { castOf } from "./faultRow";
import { resultOf, type Result } from "./rows";
import type { Stage } from "./stage";
import { Traffic } from "./traffic";

/** Changes the stack's configuration. */
type Edit = (config: Document) => void;

export interface Change {
  readonly name: string;
  readonly edit?: (lab: TestLab) => Promise<Edit> | Edit;
  /** Resources that the update replaces, by name. */
  readonly replaces?: readonly string[];
  /** Done by hand before the update. */
  readonly before?: (lab: TestLab, holder: string) => Promise<void>;
  /** @default any */
  readonly platform?: Platform;
}

const at = (subject: string, ...keys: string[]): string[] => ["config", `moorage:${subject}`, ...keys];

/** Sets the one of two values that is not there. */
const other =
  (where: string[], one: unknown, two: unknown): Edit =>
  (config) =>
    config.setIn(where, config.getIn(where) === one ? two : one);

const all =
  (edits: readonly Edit[]): Edit =>
  (config) => {
    for (const edit of edits) edit(config);
  };

/** The archive of an image in a stack file: the next variant is one of the last. */
export function archiveIn(stackFile: string, name: string, images: string): string {
  const archive = parseDocument(stackFile).getIn(at("images", name, "archive"));
  const isVariant = typeof archive === "string" && path.isAbsolute(archive) && fs.existsSync(archive);
  return isVariant ? archive : path.join(images, `${name}.tar`);
}

/** An image of the same programs with another digest. */
async function image(lab: TestLab, name: string): Promise<Edit> {
  const folder = path.join(lab.instance.dir, "variants");
  fs.mkdirSync(folder, { recursive: true });
  const archive = path.join(folder, `${name}-${Date.now()}.tar`);
  await variantOf(archiveIn(lab.stackFile(), name, lab.images), archive, ({ config }) => {
    config.Labels = { variant: String(Date.now()) };
  });
  return (config) => config.setIn(at("images", name), { archive });
}

/** Makes a refresh believe that the node was installed otherwise, so that the next update reinstalls it. */
async function installedOtherwise(lab: TestLab, node: string): Promise<void> {
  await lab.mustRoot(node, `echo '{"installHash":"another"}' > /etc/moorage/install.json`);
  const { output } = await lab.refresh();
  if (!output.includes(`${node}: runs another installation than the recorded one`))
    throw new LabError(`a refresh does not say that ${node} needs another installation:\n${output}`);
}

/** Changes whose failure would lose data or pulls. A name has no comma: `--only` separates names by commas. */
export const changes: readonly Change[] = [
  {
    name: "change: other images and settings of nginx + registry + keepalived",
    edit: async (lab) =>
      all([
        ...(await Promise.all(["nginx", "registry", "keepalived"].map((name) => image(lab, name)))),
        other(at("edge", "proxyTimeoutSeconds"), 600, 900),
        other(at("registry", "logLevel"), "warn", "info"),
        other(at("edge", "virtualRouterId"), 52, 51),
      ]),
    replaces: ["registry-http-secret"],
  },
  {
    // Pulls go on with the former password: its grace period is 15 minutes.
    name: "change: the edge's certificate and a user's password",
    replaces: ["ca-front-certificate", "users-reader"],
  },
  { name: "change: another image of MinIO", edit: (lab) => image(lab, "minio") },
  { name: "change: the registries' key for the store", replaces: ["store-registry-key"] },
  {
    name: "change: Docker restarted for a setting",
    edit: () => (config) => {
      const where = at("os", "proxies", "exclude");
      if (config.hasIn(where)) config.deleteIn(where);
      else config.setIn(where, ["elsewhere.test"]);
    },
  },
  {
    name: "change: the VIP's holder reinstalled",
    before: installedOtherwise,
    platform: "virtualbox",
  },
];

/** URNs in a state of the resources with these names. @throws LabError if one is missing */
export function urnsOf(state: string, names: readonly string[]): string[] {
  const { deployment } = JSON.parse(state) as { deployment?: { resources?: { urn: string }[] } };
  return names.map((name) => {
    const found = deployment?.resources?.find(({ urn }) => urn.endsWith(`::${name}`));
    if (!found) throw new LabError(`the state has no ${name}`);
    return found.urn;
  });
}

/** What was under way at the end of the update belongs to it. */
const AFTER_MS = 5000;
const WHOLE_SECONDS = 240;
const LARGE = 16 * 1024 ** 2;
const MEDIUM = { bytes: 4 * 1024 ** 2, everyMs: 20_000, most: 5 };

/** @throws Error if the update fails */
export async function changeRow(stage: Stage, change: Change): Promise<Result> {
  const { holder } = await castOf(stage);
  stage.say(`${change.name} (VIP: ${holder})`);
  const traffic = await Traffic.begin(stage);
  traffic.pushLarge(LARGE);
  let left = MEDIUM.most;
  const pushing = setInterval(() => left-- > 0 && traffic.pushLarge(MEDIUM.bytes), MEDIUM.everyMs);
  try {
    const from = Date.now();
    await update(stage.lab, change, holder);
    const updated = Date.now();
    clearInterval(pushing);
    await pause(AFTER_MS);
    const isWhole = await stage.isWhole(WHOLE_SECONDS);
    const to = Date.now();
    if (!isWhole) await stage.restore();
    await traffic.enough(from);
    // The former password's time may be over while everything is read back.
    await traffic.end();
    await stage.renewAccess();
    const result = await traffic.finish({ from, to }, true);
    return resultOf(
      isWhole ? { seconds: (to - updated) / 1000 } : { command: "pulumi up --refresh" },
      result,
    );
  } finally {
    clearInterval(pushing);
    await traffic.end();
  }
}

async function update(lab: TestLab, change: Change, holder: string): Promise<void> {
  await change.before?.(lab, holder);
  const edit = await change.edit?.(lab);
  if (edit) lab.changeConfig(edit);
  const { replaces = [] } = change;
  const urns = replaces.length > 0 ? urnsOf(await lab.state(), replaces) : [];
  await lab.mustUp(...urns.flatMap((urn) => ["--replace", urn]));
}
