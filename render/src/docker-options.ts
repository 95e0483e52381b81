/**
 * Options that Fedora CoreOS starts Docker with. Its unit has them from /etc/sysconfig/docker: `--selinux-enabled`, where
 * docker-proxy and docker-init are, and in older releases `--log-driver=journald`, `--live-restore` and
 * `--default-ulimit`. Docker takes no setting both as an option and from daemon.json, and no Swarm with live-restore.
 */
import type { ManagedFile } from "./model";
import { lines } from "./text";
import { renderUnit, unitCommand } from "./unit";

const path = "/etc/moorage/docker-options";
const runFolder = "/run/moorage";
const fileName = "docker-options";

/** Options of dockerd that are called otherwise than their settings. */
const optionOf: Readonly<Record<string, string>> = {
  "default-ulimits": "default-ulimit",
  "log-opts": "log-opt",
};

/** What no Swarm is with. */
const excluded = "live-restore";

/** `settings` of daemon.json. */
export function dockerOptionsFiles(settings: Readonly<Record<string, unknown>>): Record<string, ManagedFile> {
  return {
    [path]: {
      content: renderDockerOptions(settings),
      mode: 0o755,
      apply: { action: "restart", unit: "docker.service" },
    },
  };
}

/**
 * The distribution's own file stays as it is. What is made of it is read after it, and removed first, as the program that
 * makes it is given what is read. Without that program Docker starts as the distribution has it.
 */
export const dockerOptionsDropIn: Readonly<Record<string, string>> = {
  "00-moorage-options.conf": renderUnit({
    Service: {
      EnvironmentFile: `-${runFolder}/${fileName}`,
      ExecStartPre: [
        unitCommand(["/bin/rm", "-f", `${runFolder}/${fileName}`]),
        `-${unitCommand(["/bin/sh", path])}`,
      ],
    },
  }),
};

/** Whatever else the distribution, or a node's operator, has among the options is kept: where its programs lie changes. */
export function renderDockerOptions(settings: Readonly<Record<string, unknown>>, folder = runFolder): string {
  const flags = [excluded, ...namesOf(settings, (value) => typeof value === "boolean")];
  const valued = namesOf(settings, (value) => typeof value !== "boolean");
  return lines(
    "#!/bin/sh",
    "# Run before Docker is: its options as the distribution has them, but for what daemon.json says, and for",
    "# live-restore, which excludes Swarm.",
    "set -euf",
    "kept= value=",
    "for option in ${OPTIONS:-}; do",
    '    if [ -n "$value" ]; then value=; continue; fi',
    '    case "$option" in',
    `        ${flags.map((name) => `--${name} | --${name}=*`).join(" | ")}) ;;`,
    `        ${valued.map((name) => `--${name}=*`).join(" | ")}) ;;`,
    `        ${valued.map((name) => `--${name}`).join(" | ")}) value=follows ;;`,
    '        *) kept="$kept $option" ;;',
    "    esac",
    "done",
    `mkdir -p ${folder}`,
    `printf 'OPTIONS="%s"\\n' "$(printf %s "\${kept# }" | sed 's/[\\\\"\`$]/\\\\&/g')" > ${folder}/.${fileName}`,
    `mv -f ${folder}/.${fileName} ${folder}/${fileName}`,
  );
}

function namesOf(settings: Readonly<Record<string, unknown>>, which: (value: unknown) => boolean): string[] {
  return Object.entries(settings).flatMap(([name, value]) => (which(value) ? [optionOf[name] ?? name] : []));
}
