/**
 * A node that was installed with a cloud-config: its scripts are run as they are. What stands in is systemd, whose
 * reboot here ends what the last boot has started, and coreos-cloudinit, which here applies a text's hash alone.
 */
import { existsSync } from "node:fs";
import { expect } from "vitest";
import type { Connection, InstallationInputs, InstallationOutputs } from "../../../../hosts/src/contract";
import { runScript } from "../../../../hosts/src/ssh/exec";
import { Sandbox } from "./sandbox";
import { wayTo } from "./way";

export const stored = "var/lib/flatcar-install/user_data";
/** Where the retired CoreOS Container Linux has it. */
export const formerlyStored = "var/lib/coreos-install/user_data";
const folder = "var/lib/moorage/user-data";
const units = "etc/systemd/system";
const names = ["moorage-user-data.service", "moorage-user-data-back.service"];

/** Notes the text it was asked to validate, and finds fault where it is told to. */
const cloudinit = `#!/bin/sh
cp "\${2#--from-file=}" "$FAKE/validated"
if [ -e "$FAKE/faulty" ]; then echo "line 2: error: unrecognized key"; exit 1; fi
`;

const systemctl = `#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE/systemctl.log"
while [ $# -gt 0 ]; do
  case "$1" in
    -*) ;;
    is-system-running) echo running ;;
    reboot) [ -e "$FAKE/hangs" ] || setsid sh "$FAKE/boot" >/dev/null 2>&1 & ;;
    stop) if [ "$2" = ${names[1]} ] && [ -e "$FAKE/back" ]; then kill -- "-$(cat "$FAKE/back")"; fi ;;
  esac
  shift
done
`;

/** From the end of one boot to that of the next; what it starts is of a process group of its own. */
const boot = `
touch "$FAKE/down"
if [ -e "$FAKE/back" ]; then kill -- "-$(cat "$FAKE/back")"; rm -f "$FAKE/back"; fi
echo booted >> "$FAKE/boots"
run() {
  if [ -L /${units}/multi-user.target.wants/$1 ]; then sh -c "$(sed -n 's/^ExecStart=//p' /${units}/$1)"; fi
}
run ${names[0]}
if ! grep -qs unapplied /${stored}; then
  printf '{"installHash":"%s"}' "$(sed -n 's/^# hash //p' /${stored})" > /etc/moorage/install.json
fi
if grep -qs cut /${stored}; then touch "$FAKE/cut"; else rm -f "$FAKE/cut"; fi
rm -f "$FAKE/down"
echo $$ > "$FAKE/back"
run ${names[1]}
`;

/** A second in the node's scripts need not be one here. */
const sleep = `#!/bin/sh
if [ "$1" = 1 ]; then exec /bin/sleep 0.1; fi
exec /bin/sleep "$1"
`;

export class CloudNode {
  private constructor(
    readonly host: Sandbox,
    readonly target: Connection,
    private readonly inputs: InstallationInputs,
  ) {}

  /** Installed with the text, whose hash its comment says: `# hash hash-1`. */
  static async start(userData: string, tryoutSeconds = 30, place = stored): Promise<CloudNode> {
    const host = await Sandbox.start({
      systemctl,
      sleep,
      "coreos-cloudinit": cloudinit,
      reboot: "#!/bin/sh\n",
    });
    host.write("boot", boot.replaceAll(stored, place));
    host.write("etc/moorage/install.json", JSON.stringify({ installHash: hashOf(userData) }));
    host.write(place, userData);
    const away = () => ["cut", "down"].some((name) => existsSync(host.at(name)));
    const target = await wayTo(host.server.connection(), away);
    return new CloudNode(host, target, {
      node: "swarm-1",
      installer: target,
      target,
      userData,
      format: "cloud-config",
      installHash: hashOf(userData),
      disk: "/dev/sda",
      timeoutSeconds: 40,
      tryoutSeconds,
    });
  }

  get state(): InstallationOutputs {
    return { ...this.inputs, firstBootId: "installed" };
  }

  /** The node with another cloud-config. */
  with(userData: string): InstallationInputs {
    return { ...this.inputs, userData, installHash: hashOf(userData) };
  }

  /** Runs a script there by a way that always works, as on its console. */
  async onConsole(script: string): Promise<void> {
    await runScript(this.host.server.connection(), script);
  }

  get boots(): number {
    return (this.host.read("boots") ?? "").split("\n").length - 1;
  }

  /** A file of the trial that lies there. */
  onTrial(name: string): boolean {
    return existsSync(this.host.at(`${folder}/${name}`));
  }

  /** Nothing of a trial may stay. */
  expectNothingLeft(): void {
    for (const each of [folder, `${folder}.ended`]) expect(existsSync(this.host.at(each))).toBe(false);
    expect(this.host.read(`${stored}.new`)).toBeUndefined();
    for (const unit of names.flatMap((name) => [name, `multi-user.target.wants/${name}`])) {
      expect(this.host.read(`${units}/${unit}`)).toBeUndefined();
    }
  }
}

const hashOf = (userData: string): string => /^# hash (.+)$/m.exec(userData)?.[1] ?? "";
