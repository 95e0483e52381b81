/** Which registry the front asks: the one of the repository, among those that are well. */
import { lines, startingAt, word } from "../text";
import { balancerHealthPath } from "../s3-balancer";
import type { RegistryBackend, Settings } from "./args";

/** Name of the script beside the one of users and rights. */
export const pickScriptName = "pick.js";

/** How many others an upstream has besides the registry that was picked: as many as are tried. */
const others = 3;

/**
 * One of `names` for a key: the one whose digest with it is the highest (rendezvous hashing), so that a key stays where it is
 * when another one's registry is gone.
 */
export function pickOf(names: readonly string[], key: string, digest: (text: string) => string): string {
  const ranked = names.map((name) => ({ name, rank: digest(`${name} ${key}`) }));
  // njs knows no loops over a list's values.
  return ranked.reduce((best, one) => (one.rank > best.rank ? one : best), { name: "", rank: "" }).name;
}

/**
 * Asks every registry, and the balancer by which it reaches the store, about each second. One that hangs takes connections for as
 * long as it hangs, and one without its balancer answers what it can with 500: neither is found by requests alone before
 * one of them has waited, or failed. What is not known counts as well, and where none is well all are asked.
 */
export function pickScript(registries: readonly RegistryBackend[]): string {
  return `// Which registry is asked for a request.
import crypto from "crypto";

${pickOf.toString()}

/** With what each of them has to answer with 200. */
const registries = [
${registries.map((one) => `  ${JSON.stringify(probed(one))},\n`).join("")}];

/**
 * How many looks on end have to be good before a registry that was not well is asked again. One that is back may have another
 * address: a look asks for the name itself, and nginx asks for an upstream's names again after 2 s at most.
 */
const enough = 3;

/** What is not known is well. */
function goodLooks(name) {
  const counted = ngx.shared.registries.get(name);
  return counted === undefined ? enough : counted;
}

async function look() {
  await Promise.all(
    registries.map(async (registry) => {
      const answers = await Promise.all(
        registry.urls.map((url) => ngx.fetch(url).then((answer) => answer.status === 200, () => false)),
      );
      const before = goodLooks(registry.name);
      const now = answers.every((isGood) => isGood) ? Math.min(before + 1, enough) : 0;
      if (now === enough && before < enough) ngx.log(ngx.WARN, registry.name + " serves again");
      if (now === 0 && before === enough) {
        ngx.log(ngx.WARN, registry.name + " does not serve: " + registry.urls[answers.indexOf(false)]);
      }
      ngx.shared.registries.set(registry.name, now);
    }),
  );
}

function registry(r) {
  const names = registries.map((one) => one.name);
  const well = names.filter((name) => goodLooks(name) === enough);
  return pickOf(well.length > 0 ? well : names, r.variables.registry_affinity, (text) =>
    crypto.createHash("sha256").update(text).digest("hex"),
  );
}

export default { look, registry };
`;
}

/** An upstream for each registry, which it is the first of. Nothing here grows into one long word: nginx reads none of 4096 bytes. */
export function upstreams({ registries }: Settings): string {
  return lines(
    `js_import pick from ${pickScriptName};`,
    "# What nobody has looked at for a while is not known.",
    "js_shared_dict_zone zone=registries:64k timeout=5s type=number;",
    "js_set $registry pick.registry;",
    "# A variable keeps its value for a request: this one is for what is known when that is asked again.",
    "js_set $registry_again pick.registry;",
    "# One replica for all of a repository, since each has a cache of its own; others take over when it is gone.",
    ...registries.flatMap((_, first) => upstream(registries, first)),
  );
}

function probed({ name, port, balancer }: RegistryBackend): { name: string; urls: string[] } {
  const store =
    balancer && `http://${word(balancer.name, "balancer's name")}:${balancer.port}${balancerHealthPath}`;
  return {
    name: word(name, "registry's name"),
    urls: [`http://${name}:${port}/`, ...(store ? [store] : [])],
  };
}

/** Nothing is remembered of a failure here, as looks know better: what always fails would take one after the other away. */
function upstream(registries: readonly RegistryBackend[], first: number): string[] {
  const ring = startingAt(registries, first).slice(0, others + 1);
  const name = word(registries[first]?.name ?? "", "registry's name");
  return [
    `upstream ${name} {`,
    `    zone ${name} 256k;`,
    ...ring.map(
      (one, index) => `    server ${one.name}:${one.port} resolve max_fails=0${index > 0 ? " backup" : ""};`,
    ),
    "}",
  ];
}

/**
 * In the server, as nginx has it for what runs by itself. A look that is still at it when the next one begins is ended, and has
 * said nothing: what it may wait for, a name and an answer, is less than that. A name that is not known is not always said to
 * be so: Docker asks the host's name servers, and where they are silent, it is.
 */
export function looks(): string {
  return lines(
    "location @looks {",
    "    js_periodic pick.look interval=1200ms;",
    "    resolver_timeout 400ms;",
    "    js_fetch_timeout 700ms;",
    "}",
  );
}
