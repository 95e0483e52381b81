import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { warningsOf } from "../../config/warnings";
import { parseStackConfig } from "../../config/stack";
import { parsedCloudConfig, type CloudConfig, type CloudConfigUnit } from "../support/userData";
import { articleConfig, wholeUserData } from "./everything";

/** A setting by its place, such as `unit date.timer: Timer.OnCalendar`. */
type Settings = Record<string, unknown>;

/** Directives by `Section.Key`, each with all its values; networkd passes over the keys it does not know. */
function directives(text: string): Settings {
  const found: Record<string, string[]> = {};
  let section = "";
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    section = /^\[(.*)\]$/.exec(line)?.[1] ?? section;
    const [, key, value] = /^([A-Za-z0-9]+)=(.*)$/.exec(line) ?? [];
    if (key && value !== undefined) (found[`${section}.${key}`] ??= []).push(value);
  }
  delete found["Network.Search"];
  // Wording is ours.
  delete found["Unit.Description"];
  // The source's four default routes have no metric, so that each takes the place of the one before; the metrics are
  // ours, and with one the gateway stands in a section of its own.
  if (found["Route.Gateway"]) found["Network.Gateway"] = found["Route.Gateway"];
  delete found["Route.Gateway"];
  delete found["Route.Metric"];
  return found;
}

function variables(text: string): Settings {
  const lines = text.split("\n").filter((line) => line.includes("="));
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...value] = line.split("=");
      const joined = value.join("=");
      return [name, /^no_proxy$/i.test(name) ? joined.split(",").sort() : joined];
    }),
  );
}

function inside(place: string, settings: Settings): [string, unknown][] {
  return Object.entries(settings).map(([key, value]) => [`${place}: ${key}`, value]);
}

function unitSettings(unit: CloudConfigUnit): [string, unknown][] {
  const { name, content, drop_ins = [], ...flags } = unit;
  // The name of a network file is its own affair.
  const place = `unit ${name === "00-eno0.network" ? "10-moorage.network" : name}`;
  return [
    ...inside(place, { ...flags, name: "" }),
    ...inside(place, directives(content ?? "")),
    ...drop_ins.flatMap((one) => inside(`${place}, ${one.name}`, directives(one.content))),
  ];
}

function fileSettings(file: NonNullable<CloudConfig["write_files"]>[number]): [string, unknown][] {
  const dropIn = /^\/etc\/systemd\/system\/([^/]+)\.d\/([^/]+)$/.exec(file.path);
  if (dropIn) return inside(`unit ${dropIn[1]}, ${dropIn[2]}`, directives(file.content));
  const place = `file ${file.path}`;
  const rest = { permissions: file.permissions ?? "0644", owner: (file.owner ?? "root").split(":")[0] };
  return [...inside(place, rest), ...inside(place, contentOf(file.path, file.content))];
}

function contentOf(file: string, content: string): Settings {
  if (file === "/etc/environment") return variables(content);
  if (file.endsWith(".conf")) return directives(content);
  if (file.endsWith("/aliases.sh")) return aliases(content);
  return { content };
}

/** Each function's commands, with short options. Ours take any number of arguments, and the source's one or none. */
function aliases(content: string): Settings {
  const functions = [...content.matchAll(/^(\w+)\(\) \{ (.*); \}$/gm)];
  const plain = (commands = "") =>
    commands.replaceAll(/ "\$[1@]"/g, "").replaceAll("--all", "-a").replaceAll("--follow", "-f");
  return Object.fromEntries(functions.map(([, name, commands]) => [name, plain(commands)])) as Settings;
}

function settings(text: string): Settings {
  const { hostname, ssh_authorized_keys, users = [], coreos, write_files = [] } = parsedCloudConfig(text);
  const metadata = coreos.fleet?.metadata?.split(",").sort();
  return Object.fromEntries([
    ["hostname", hostname],
    ["core's keys", ssh_authorized_keys],
    ...users.flatMap(({ name, ...rest }) => inside(`user ${name}`, { ...rest })),
    ...inside("etcd2", coreos.etcd2 ?? {}),
    ...inside("fleet", { ...coreos.fleet, metadata }),
    ...inside("flannel", coreos.flannel ?? {}),
    ...inside("update", { ...coreos.update }),
    ...coreos.units.flatMap(unitSettings),
    ...write_files.flatMap(fileSettings),
  ]) as Settings;
}

/** Its digits differ with every password; how it was made does not. */
function hashKind(value: unknown): unknown {
  return String(value).replace(/^(\$[16]\$).*/, "$1…");
}

const article = settings(fs.readFileSync(path.join(__dirname, "files", "article-coreos1.yml"), "utf8"));
const text = wholeUserData(articleConfig(), "cloud-config", "$1$another$one");
const ours = settings(text);

/** The `.conf` that was given as a unit, which systemd never reads, is the drop-in that it was meant to be. */
const given = "unit 60-docker-wait-for-flannel-config.conf";
const meant = "unit docker.service, 60-docker-wait-for-flannel-config.conf";

describe("the first node of the set-up that this project grew from, given as configuration", () => {
  const kept = Object.keys(article).filter((key) => !key.startsWith(given));

  it.each(kept)("%s", (key) => {
    const [want, have] = [article[key], ours[key]];
    if (key.endsWith(": no_proxy")) expect(have).toEqual(expect.arrayContaining(want as string[]));
    else if (key.endsWith(": passwd")) expect(hashKind(have)).toBe(hashKind(want));
    else expect(have).toEqual(want);
  });

  it("has the same three aliases, by what each of them runs", () => {
    for (const found of [article, ours]) {
      const alias = (name: string) => found[`file /etc/profile.d/aliases.sh: ${name}`];
      expect(["dps", "dl", "drm"].map(alias)).toEqual(["docker ps -a", "docker logs -f", "docker stop && docker rm"]);
    }
  });

  it("differs in one thing on purpose: the .conf that was given as a unit is a drop-in", () => {
    const wanted = Object.entries(article).filter(([key]) => key.startsWith(given) && !key.endsWith(": name"));
    expect(wanted).toHaveLength(3);
    for (const [key, value] of wanted) expect(ours[key.replace(given, meant)]).toEqual(value);
    expect(Object.keys(ours).filter((key) => key.startsWith(given))).toEqual([]);
  });

  it("has besides what the program needs to find, trust and look after the node", () => {
    const more = Object.keys(ours).filter((key) => !(key in article) && !key.startsWith(meant));
    const places = [...new Set(more.map((key) => key.split(":")[0]))].sort();
    expect(places).toEqual([
      "file /etc/docker/certs.d/10.0.2.10/ca.crt",
      "file /etc/docker/certs.d/registry.domain.com/ca.crt",
      "file /etc/docker/daemon.json",
      "file /etc/environment",
      "file /etc/moorage/install.json",
      "file /etc/moorage/passwords",
      "file /etc/moorage/set-passwords",
      "file /etc/ssh/ssh_host_ed25519_key",
      "file /etc/ssh/ssh_host_ed25519_key.pub",
      "file /etc/ssh/sshd_config",
      "unit date.timer",
      "unit docker.service",
      "unit docker.service, 30-moorage-slice.conf",
      "unit moorage-passwords.service",
      "unit moorage.slice",
      "update",
      "user usera",
    ]);
    const within = (place: string) => more.filter((key) => key.startsWith(`${place}: `));
    expect(within("file /etc/environment")).toEqual(["file /etc/environment: NO_PROXY"]);
    expect(within("unit date.timer")).toEqual(["unit date.timer: command"]);
    expect(within("unit docker.service")).toEqual([
      "unit docker.service: enable",
      "unit docker.service: command",
    ]);
    expect(within("user usera")).toEqual(["user usera: ssh_authorized_keys"]);
  });

  it("is written in the keys that Container Linux had", () => {
    for (const key of ["discovery-proxy", "advertise-client-urls", "public-ip", "drop-ins", "reboot-strategy"]) {
      expect(text).toMatch(new RegExp(`^ +${key}:`, "m"));
    }
    expect(text.split("\n")[0]).toBe("#cloud-config");
  });

  it("warns of whatever in it is not secure any more", () => {
    const warnings = warningsOf(parseStackConfig(articleConfig())).map((one) => one.split(":")[0]);
    expect(warnings).toEqual([
      "os.distribution coreos",
      "os.containerLinux.insecureDockerApi",
      "os.containerLinux.insecureRegistries",
      "os.users.usera.insecureMd5Password",
    ]);
  });
});
