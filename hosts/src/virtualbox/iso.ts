/** The installer's ISO image on the hypervisor: fetched once, checked, reused. */
import type { Operation } from "../contract";
import { diffOf } from "../diff";
import { CommandError, HostError } from "../errors";
import { proxyEnvironment } from "../installation/scripts";
import { note, warn } from "../log";
import { readOrRecorded, withoutProvider } from "../operation";
import { brief } from "../ssh/connect";
import type { Hypervisor, IsoImageInputs, IsoImageOutputs } from "./contract";
import { Manage } from "./manage";
import { parseLine } from "./parse";
import { keyOf, nameOf, scriptOn } from "./run";

const shared = `
fetch() { curl --fail --location --silent --show-error --retry 3 --connect-timeout 30 "$@"; }
digest() { if command -v "sha$1sum" >/dev/null; then "sha$1sum" "$2"; else shasum -a "$1" "$2"; fi | sed 's/^\\\\//' | cut -d' ' -f1; }
no_way() {
  echo "$1 Where only a proxy leads there, name it in os.proxies.https" >&2
  echo "(os.proxies.http is for http:// alone); where nothing does, put the image there yourself" >&2
  echo "(hypervisor.iso.path). Then run again" >&2
}
# An answer of the server (curl's exit code 22) speaks for itself.
not_fetched() {
  if [ "$2" -ne 22 ]; then no_way "$1 cannot be fetched from there."; fi
  return "$2"
}
`;

/** `$1` the file that names the channel's current version. */
const versionScript = `
set -eu
${shared}
named=$(fetch "$1") || not_fetched "$1" "$?"
printf 'version: %s\\n' "$(printf '%s\\n' "$named" | sed -n 's/^[A-Z]*_VERSION=//p' | head -n 1)"
`;

/** `$1` url, `$2` file. Leaves a file that is there alone, and never half a one. */
const fetchScript = `
set -eu
url=$1 file=$2
${shared}
mkdir -p "$(dirname "$file")"
if [ -f "$file" ]; then echo 'fetched: no'; return 0; fi
if ! command -v curl >/dev/null; then echo "curl is not installed there" >&2; return 1; fi
part="$file.$$.part"
trap 'rm -f "$part"' EXIT
fetch --output "$part" "$url" || not_fetched "$url" "$?"
rm -f "$file.sha256" "$file.sig"
mv -f "$part" "$file"
echo 'fetched: yes'
`;

/** The exit code where the image could not be checked, so that nothing is known against it. */
const UNCHECKED = 4;

/**
 * `$1` file, `$2` sha256 or "", `$3` url of it or "", `$4` the key in armour or "". Prints `sha256: …`,
 * then `checked: …` lines; fails where something is wrong. What was fetched for a check that went well is kept beside an
 * image that was fetched itself, so that the next check takes no internet.
 */
const checkScript = `
set -eu
file=$1 wanted=$2 url=$3 key=$4
${shared}
if [ ! -f "$file" ]; then echo "missing: yes"; return 0; fi
found=$(digest 256 "$file")
echo "sha256: $found"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Fetches what lies beside the image; false where the server has no such thing.
beside() {
  status=$(fetch --output "$work/$1" --write-out '%{http_code}' "$url.$1" 2>"$work/said") && return 0
  case "$status" in 403|404|410) return 1 ;; esac
  cat "$work/said" >&2
  no_way "$url.$1 cannot be fetched from there, without which the image goes unchecked."
  exit ${UNCHECKED}
}
earlier=
if [ -n "$url" ] && [ -f "$file.sha256" ]; then earlier=$(cut -d' ' -f1 "$file.sha256"); fi
keep_sum() { if [ -n "$url" ]; then printf '%s  %s\\n' "$found" "$(basename "$file")" > "$file.sha256"; fi; }
if [ -n "$wanted" ]; then
  if [ "$found" != "$wanted" ]; then echo "its sha256 is $found, wanted $wanted" >&2; return 3; fi
  echo 'checked: sha256 is the configured one'
  keep_sum
elif [ -n "$earlier" ]; then
  if [ "$found" != "$earlier" ]; then echo "its sha256 is $found, and was $earlier when it was checked" >&2; return 3; fi
  echo 'checked: sha256 is that of an earlier check'
elif [ -n "$url" ] && beside DIGESTS; then
  published=$(grep -Eo '^[0-9a-f]{128}' "$work/DIGESTS" | head -n 1)
  if [ -z "$published" ]; then echo "$url.DIGESTS holds no SHA512" >&2; return 3; fi
  if [ "$(digest 512 "$file")" != "$published" ]; then echo "its SHA512 is not the published one" >&2; return 3; fi
  echo 'checked: SHA512 is the one published beside it'
  keep_sum
fi
if [ -n "$key" ]; then
  # Nothing is known against the image, and nothing for it: a key is given so that none goes unchecked.
  if ! command -v gpg >/dev/null; then
    echo "gpg is not installed there, without which the signature goes unchecked. Install it (GnuPG), or take" >&2
    echo "hypervisor.iso.signingKey out of the configuration, where a checksum is enough. Then run again" >&2
    exit ${UNCHECKED}
  fi
  if [ -f "$file.sig" ]; then cp "$file.sig" "$work/sig"
  elif [ -n "$url" ]; then
    if ! beside sig; then echo "there is no signature $url.sig" >&2; return 3; fi
  else echo "there is no signature $file.sig" >&2; return 3
  fi
  mkdir -m 0700 "$work/gpg"
  printf '%s\\n' "$key" | gpg --homedir "$work/gpg" --batch --quiet --import 2>"$work/said" || { cat "$work/said" >&2; return 3; }
  if ! gpg --homedir "$work/gpg" --batch --status-fd 1 --verify "$work/sig" "$file" >"$work/status" 2>"$work/said"; then
    cat "$work/said" >&2; return 3
  fi
  echo "checked: signature by key $(sed -n 's/^\\[GNUPG:\\] VALIDSIG .* //p' "$work/status" | head -n 1)"
  if [ -n "$url" ]; then cp "$work/sig" "$file.sig"; keep_sum; fi
else echo 'unchecked: signature not checked, as no key is configured'
fi
`;

/** A proxy's address may hold a password: it is part of the text on standard input, and in no command line. */
function proxied({ proxies }: IsoImageInputs, script: string): string {
  return `${proxies ? proxyEnvironment(proxies) : ""}${script}`;
}

interface Checked {
  readonly missing: boolean;
  readonly sha256: string;
  readonly lines: string[];
}

async function check(inputs: IsoImageInputs, file: string, url: string | undefined): Promise<Checked> {
  const { hypervisor, sha256 = "", signingKey = "", timeoutSeconds } = inputs;
  const args = [file, sha256, url ?? "", signingKey];
  const output = await scriptOn(hypervisor, proxied(inputs, checkScript), args, {
    purpose: `checking ${file}`,
    timeoutSeconds,
  });
  const lines = [...output.matchAll(/^(?:un)?checked: (.*)$/gm)].map((found) => found[1] ?? "");
  return {
    missing: parseLine(output, "missing") === "yes",
    sha256: parseLine(output, "sha256") ?? "",
    lines: /^checked: /m.test(output) ? lines : ["nothing was checked: no checksum is known", ...lines],
  };
}

/** How long the hypervisor may take for the digest of an image. */
const DIGEST_SECONDS = 300;

/** `$1` file, `$2` whether its sha256 is wanted. */
const lookScript = `
${shared}
if [ ! -f "$1" ]; then echo "there: no"; return 0; fi
echo "there: yes"
if [ -n "$2" ]; then echo "sha256: $(digest 256 "$1")"; fi
`;

/** Looks that are under way: guests that begin at the same time have one image. */
const looking = new Map<string, Promise<void>>();

/** @throws HostError where the image is gone since it was checked, or another one. */
export function requireImage(hypervisor: Hypervisor, file: string, sha256 = ""): Promise<void> {
  const key = JSON.stringify([keyOf(hypervisor), file, sha256]);
  const look = looking.get(key) ?? lookForImage(hypervisor, file, sha256).finally(() => looking.delete(key));
  looking.set(key, look);
  return look;
}

async function lookForImage(hypervisor: Hypervisor, file: string, sha256: string): Promise<void> {
  const said = await scriptOn(hypervisor, lookScript, [file, sha256], {
    purpose: `looking at ${file}`,
    timeoutSeconds: DIGEST_SECONDS,
  });
  const remedy = "run `pulumi up --refresh`; one that hypervisor.iso.path names is yours to put there";
  if (parseLine(said, "there") !== "yes") {
    throw new HostError(nameOf(hypervisor), `the installer's image ${file} is gone: ${remedy}`);
  }
  const found = parseLine(said, "sha256") ?? "";
  if (found === sha256) return;
  throw new HostError(
    nameOf(hypervisor),
    `the installer's image ${file} is another one: its sha256 is ${found}, and was ${sha256}. Delete it there, and ${remedy}`,
  );
}

/** Puts channel and version into a URL. */
export function filledIn(url: string, channel: string, version: string): string {
  return url.replaceAll("{channel}", channel).replaceAll("{version}", version);
}

/** The version of a channel at the moment, as the server names it in `version.txt` beside its current image. */
async function currentVersion(inputs: IsoImageInputs, url: string, channel: string): Promise<string> {
  const { hypervisor } = inputs;
  const text = filledIn(url, channel, "current").replace(/[^/]*$/, "version.txt");
  const output = await scriptOn(hypervisor, proxied(inputs, versionScript), [text], {
    purpose: `asking ${text} for the current version`,
  });
  const version = parseLine(output, "version");
  if (version) return version;
  throw new HostError(
    nameOf(hypervisor),
    `${text} names no version of channel ${channel}; set hypervisor.iso.version in the configuration`,
  );
}

async function ensure(inputs: IsoImageInputs, known?: IsoImageOutputs): Promise<IsoImageOutputs> {
  const name = nameOf(inputs.hypervisor);
  if (inputs.path !== undefined) {
    const checked = await check(inputs, inputs.path, undefined);
    if (checked.missing) throw new HostError(name, `there is no ISO image ${inputs.path} there`);
    return outputs(inputs, inputs.path, inputs.version ?? "", checked);
  }
  const { url = "", channel = "", timeoutSeconds } = inputs;
  // A channel's version is asked for once: a newer one is no reason to fetch or to install anything.
  const resolved =
    known && known.channel === channel && known.url === url ? known.resolvedVersion : undefined;
  const version =
    inputs.version ??
    (url.includes("{version}") ? (resolved ?? (await currentVersion(inputs, url, channel))) : "");
  const from = filledIn(url, channel, version);
  const manage = await Manage.on(inputs.hypervisor);
  const file = `${manage.folder}/moorage/iso/${[channel, version, from.split("/").at(-1)].filter(Boolean).join("-")}`;
  const said = await scriptOn(inputs.hypervisor, proxied(inputs, fetchScript), [from, file], {
    purpose: `fetching ${from}`,
    timeoutSeconds,
  });
  if (parseLine(said, "fetched") === "yes") note(name, `fetched ${from}`);
  try {
    return outputs(inputs, file, version, await check(inputs, file, from));
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === UNCHECKED) throw error;
    // One that is wrong must not be taken for a good one by the next run.
    await scriptOn(inputs.hypervisor, `rm -f -- "$1" "$1.sha256" "$1.sig"`, [file], {
      purpose: `removing ${file}`,
    });
    throw error;
  }
}

function outputs(inputs: IsoImageInputs, file: string, version: string, checked: Checked): IsoImageOutputs {
  const name = nameOf(inputs.hypervisor);
  const plain = withoutProvider(inputs);
  if (checked.lines[0]?.startsWith("nothing")) warn(name, `${file}: ${checked.lines[0]}`);
  for (const line of checked.lines) note(name, `${file}: ${line}`);
  return { ...plain, file, resolvedVersion: version, fileSha256: checked.sha256, checked: checked.lines };
}

/** Whether nobody may put another image there without a word: one of the operator's own may be anything, unless it is checked. */
const isPinned = ({ path, sha256, signingKey }: IsoImageInputs): boolean =>
  path === undefined || sha256 !== undefined || signingKey !== undefined;

/** Whether the image is there, and the one that was checked. */
async function isThere(state: IsoImageOutputs): Promise<boolean> {
  const { hypervisor, file, fileSha256 } = state;
  const wanted = isPinned(state) ? fileSha256 : "";
  const said = await scriptOn(hypervisor, lookScript, [file, wanted], {
    purpose: `looking for ${file}`,
    timeoutSeconds: DIGEST_SECONDS,
    patience: brief,
  });
  if (parseLine(said, "there") !== "yes") return false;
  const isSame = (parseLine(said, "sha256") ?? "") === wanted;
  if (!isSame) warn(nameOf(hypervisor), `${file} is another one than was checked; the next update checks it`);
  return isSame;
}

/** Fetched images stay when the stack goes: other stacks may use them, and the next one does. */
export const isoImage: Operation<IsoImageInputs, IsoImageOutputs> = {
  async create(inputs) {
    const outs = await ensure(inputs);
    return { id: outs.file, outs };
  },
  read(id, state) {
    return readOrRecorded(nameOf(state.hypervisor), id, state, async () =>
      (await isThere(state)) ? { id, outs: state } : undefined,
    );
  },
  diff(state, inputs) {
    return diffOf(state, inputs, {
      outputOnly: ["file", "resolvedVersion", "fileSha256", "checked"],
      // An image that is there was fetched by those there were.
      ignored: ["proxies"],
    });
  },
  update(_id, state, inputs) {
    return ensure(inputs, state);
  },
  delete(_id, { hypervisor, file }) {
    note(nameOf(hypervisor), `${file} stays for the next stack`);
    return Promise.resolve();
  },
};
