// Which registry is asked for a request.
import crypto from "crypto";

function pickOf(names, key, digest) {
    const ranked = names.map((name) => ({ name, rank: digest(`${name} ${key}`) }));
    // njs knows no loops over a list's values.
    return ranked.reduce((best, one) => (one.rank > best.rank ? one : best), { name: "", rank: "" }).name;
}

/** With what each of them has to answer with 200. */
const registries = [
  {"name":"registry-coreos1","urls":["http://registry-coreos1:5000/","http://s3-coreos1:9000/healthz"]},
  {"name":"registry-coreos2","urls":["http://registry-coreos2:5000/","http://s3-coreos2:9000/healthz"]},
  {"name":"registry-coreos3","urls":["http://registry-coreos3:5000/","http://s3-coreos3:9000/healthz"]},
  {"name":"registry-coreos4","urls":["http://registry-coreos4:5000/","http://s3-coreos4:9000/healthz"]},
];

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
