/** A node's clock: its servers, and a timer that sets it, with what each distribution has for that. */
import type { Distribution, ManagedFile, ManagedUnit } from "./model";
import { lines, word } from "./text";
import { renderUnit } from "./unit";

export function clockFiles(
  distribution: Distribution | undefined,
  servers: readonly string[],
): Record<string, ManagedFile> {
  if (servers.length === 0) {
    return {};
  }
  const names = servers.map((server) => word(server, "NTP server"));
  if (distribution === "fedora-coreos") {
    const content = lines(
      ...names.map((name) => `server ${name} iburst`),
      "driftfile /var/lib/chrony/drift",
      "makestep 1.0 3",
      "rtcsync",
      "leapsectz right/UTC",
    );
    return {
      "/etc/chrony.conf": { content, mode: 0o644, apply: { action: "restart", unit: "chronyd.service" } },
    };
  }
  const path =
    distribution === "coreos"
      ? "/etc/systemd/timesyncd.conf"
      : "/etc/systemd/timesyncd.conf.d/10-moorage.conf";
  return {
    [path]: {
      content: renderUnit({ Time: { NTP: names.join(" ") } }),
      mode: 0o644,
      apply: { action: "restart", unit: "systemd-timesyncd.service" },
    },
  };
}

/** Sets the clock five minutes after a boot, when the network is surely there, and once a day. */
export function clockUnits(
  distribution: Distribution,
  servers: readonly string[],
): Record<string, ManagedUnit> {
  return {
    "date.service": {
      content: renderUnit({
        Unit: { Description: "Sets the clock" },
        Service: { Type: "oneshot", ExecStart: clockCommands(distribution, servers) },
      }),
      // The timer runs it.
      apply: { action: "none" },
    },
    "date.timer": {
      content: renderUnit({
        Unit: { Description: "Sets the clock after a boot, and daily" },
        Timer: { OnBootSec: "5min", OnCalendar: "daily" },
        Install: { WantedBy: "multi-user.target" },
      }),
      enabled: true,
    },
  };
}

function clockCommands(distribution: Distribution, servers: readonly string[]): string[] {
  switch (distribution) {
    case "flatcar":
      // It asks its servers when it starts.
      return ["/usr/bin/systemctl restart systemd-timesyncd.service"];
    case "fedora-coreos":
      return ["/usr/bin/chronyc burst 4/4", "/usr/bin/chronyc makestep"];
    case "coreos":
      if (servers.length === 0) throw new Error("ntpdate has no server to ask: name one");
      return [`/usr/sbin/ntpdate ${servers.map((server) => word(server, "NTP server")).join(" ")}`];
    default: {
      const never: never = distribution;
      throw new Error(`no such distribution: ${String(never)}`);
    }
  }
}
