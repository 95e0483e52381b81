import type { ManagedFile } from "./model";
import { lines } from "./text";

/** Short names for what is typed most on a node. */
export const aliasFiles: Readonly<Record<string, ManagedFile>> = {
  "/etc/profile.d/aliases.sh": {
    content: lines(
      "# all containers, stopped ones too",
      'dps() { docker ps --all "$@"; }',
      "# follows a container's log",
      'dl() { docker logs --follow "$@"; }',
      "# stops containers, then removes them",
      'drm() { docker stop "$@" && docker rm "$@"; }',
    ),
    mode: 0o644,
    apply: { action: "none" },
  },
};
