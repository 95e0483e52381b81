/** nginx and HAProxy on a node: their configuration as files, and the unit that puts it in force. */
import { asset } from "./asset";
import { haproxyFiles, type HaproxyArgs } from "./haproxy";
import type { ManagedFile, NodeFiles } from "./model";
import { nginxFiles, type NginxArgs } from "./nginx";
import { lines, word } from "./text";
import { renderUnit, unitCommand } from "./unit";

export interface ProxiesArgs {
  readonly haproxy: HaproxyArgs & { readonly service: string };
  /** Absent on nodes that are no edge nodes. */
  readonly nginx?: NginxArgs & { readonly service: string };
  /** For how long a replaced password is accepted. */
  readonly passwordGraceMinutes: number;
}

const unit = "moorage-proxies.service";
const folder = "/etc/moorage/proxies";
const script = `${folder}/apply.sh`;

/** What the containers get: the program's folder, the version in force in it, and the user who may read it. */
export const proxyMounts = {
  nginx: { folder: "/etc/moorage/nginx", current: "/etc/moorage/nginx/current", user: "65533:65533" },
  haproxy: { folder: "/etc/moorage/haproxy", current: "/etc/moorage/haproxy/current", user: "65531:65531" },
} as const;

/** The folder of nginx's content cache, on the node and in the container. */
export const contentCache = { node: "/var/lib/moorage/cache", container: "/var/cache/nginx" } as const;

/** A changed file is put in force by a reload of the unit: no container restarts. */
export function proxiesFiles({ haproxy, nginx, passwordGraceMinutes }: ProxiesArgs): NodeFiles {
  const reload = { action: "reload", unit } as const;
  const wanted = (program: keyof typeof proxyMounts, contents: Readonly<Record<string, string>>) =>
    Object.entries(contents).map(([name, content]): [string, ManagedFile] => [
      `${proxyMounts[program].folder}/wanted/${name}`,
      { content, mode: 0o600, apply: reload },
    ]);
  const settings = lines(
    `HAPROXY=${word(haproxy.service, "service")}`,
    `NGINX=${nginx ? word(nginx.service, "service") : ""}`,
    `GRACE=${passwordGraceMinutes * 60}`,
  );
  return {
    files: {
      [script]: { content: asset("proxies/apply.sh"), mode: 0o755, apply: reload },
      [`${folder}/apply.env`]: { content: settings, mode: 0o644, apply: reload },
      ...Object.fromEntries(wanted("haproxy", haproxyFiles(haproxy))),
      ...(nginx && Object.fromEntries(wanted("nginx", nginxFiles(nginx)))),
    },
    units: { [unit]: { content: unitText(), enabled: true } },
  };
}

function unitText(): string {
  return renderUnit({
    Unit: { Description: "Configuration of the registry's nginx and HAProxy", After: "docker.service" },
    Service: {
      Type: "oneshot",
      RemainAfterExit: true,
      ExecStart: unitCommand([script]),
      ExecReload: unitCommand([script]),
      ExecStop: unitCommand([script, "remove"]),
    },
    Install: { WantedBy: "multi-user.target" },
  });
}
