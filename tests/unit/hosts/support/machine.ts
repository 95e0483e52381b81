/** A machine in its live system, and after its reboot, for tests of an installation in virtual time. */
import type { InstallationInputs } from "../../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../../hosts/src/docker/api";
import { installationBy } from "../../../../hosts/src/installation";
import { pause, until } from "../../../support/waiting";
import { FakeDocker } from "./fake-docker";
import { Sandbox } from "./sandbox";
import { keyPair } from "./ssh-server";
import { logged } from "./stop";
import { VirtualClock } from "./virtual-clock";
import { forward } from "./way";

/** Stand-ins by which any disk is a blank one, `/dev/loop0`, of which nothing is read here. */
export const blankDisk = {
  blkid: "#!/bin/sh\nexit 2\n",
  readlink: "#!/bin/sh\necho /dev/loop0\n",
  blockdev: "#!/bin/sh\necho 4194304\n",
  lsblk: "#!/bin/sh\n",
  dd: '#!/bin/sh\nfor each do case "$each" in of=*) head -c 1048576 /dev/zero > "${each#of=}" ;; esac; done\n',
};

/**
 * Records its arguments and input, and takes as long as the file `hold` exists. /dev/loop0 stands in for the disk: the
 * scripts only check that it is a block device.
 */
export const installer = `#!/bin/sh
printf '%s\\n' "$*" > "$FAKE/installer.args"
cat /run/moorage/install/user-data.* > "$FAKE/installer.data"
stat -c %a /run/moorage/install/user-data.* > "$FAKE/installer.mode"
env | grep -i _proxy= | sort > "$FAKE/installer.environment"
echo "Downloading"
while [ -e "$FAKE/hold" ]; do /bin/sleep 0.05; done
if [ -e "$FAKE/broken" ]; then echo "curl: could not fetch" ; exit 22; fi
echo "Success! CoreOS is installed on $2"
`;

/** Fails at once: for tests of what comes before it. */
export const failing = installer.replace('echo "Downloading"', "exit 1");

/** Seconds that the scripts wait on the machine are shorter here. */
const sleep = "#!/bin/sh\nexec /bin/sleep 0.05\n";

const cat = (bootId: string) =>
  `#!/bin/sh\ncase "$*" in */boot_id) echo ${bootId} ;; *) exec /bin/cat "$@" ;; esac\n`;

const REBOOTING = "rebooting into the installed system";

export class Machine {
  readonly clock = new VirtualClock(() => this.meanwhile());
  readonly installation = installationBy(this.clock);
  /** What the machine does when it reboots. */
  onReboot: (() => unknown) | undefined;
  readonly targetKey = keyPair();
  readonly userKey = keyPair();
  live!: Sandbox;
  target: Sandbox | undefined;
  inputs!: InstallationInputs;
  private running: Sandbox | undefined;

  /** In its live system. */
  static async start(changes: Partial<InstallationInputs> = {}): Promise<Machine> {
    const machine = new Machine();
    const { userKey, targetKey } = machine;
    const tools = { ...blankDisk, cat: cat("live"), sleep, "flatcar-install": installer };
    machine.live = machine.running = await Sandbox.start(tools, { userKey });
    machine.live.tool("systemctl", `#!/bin/sh\necho "$*" >> "$FAKE/systemctl.log"\n`);
    const port = await forward(() => machine.running?.server.connection().port);
    const connection = machine.live.server.connection({ port });
    machine.inputs = {
      node: "swarm-1",
      installer: connection,
      target: { ...connection, hostKey: targetKey.public },
      userData: '{"ignition":{"version":"3.3.0"}}',
      installHash: "hash-1",
      disk: "/dev/disk/by-id/system",
      channel: "stable",
      version: "4081.2.0",
      timeoutSeconds: 600,
      ...changes,
    };
    return machine;
  }

  /** Time stands still until the installer that is held has started, and until the machine reboots. */
  private async meanwhile(): Promise<void> {
    if (this.live.read("hold") !== undefined)
      await until("the installer", () => this.requireStarted(), { everyMs: 10 });
    if (!this.onReboot || !logged.some((line) => line.endsWith(REBOOTING))) return pause(10);
    const asked = () => {
      if (!this.live.read("systemctl.log")?.includes("reboot")) throw new Error("nobody has asked for it");
    };
    await until("the reboot", asked, { everyMs: 20 });
    const { onReboot } = this;
    this.onReboot = undefined;
    await onReboot();
  }

  private requireStarted(): void {
    if (!this.live.read("run/moorage/install/log")) throw new Error("it has not started");
  }

  async turnOff(): Promise<void> {
    await this.running?.server.stop();
    this.running = undefined;
  }

  /** The installed system boots, in place of the live one. */
  async comeUp(hash: string, bootId = "installed"): Promise<void> {
    await this.turnOff();
    const { userKey, targetKey: hostKey } = this;
    const docker = await new FakeDocker().start();
    docker.on("GET", /^\/info$/, () => ({ json: { Name: "x", Swarm: { LocalNodeState: "inactive" } } }));
    const sockets = { [DOCKER_SOCKET]: docker.path };
    this.target = this.running = await Sandbox.start({ cat: cat(bootId) }, { userKey, hostKey, sockets });
    this.target.write("etc/moorage/install.json", JSON.stringify({ installHash: hash }));
  }

  rebootsInto(hash: string, bootId?: string): void {
    this.onReboot = () => this.comeUp(hash, bootId);
  }
}
