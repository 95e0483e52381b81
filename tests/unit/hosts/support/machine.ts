/** A machine in its live system, and after its reboot, for tests of an installation. */
import type { InstallationInputs } from "../../../../hosts/src/contract";
import { DOCKER_SOCKET } from "../../../../hosts/src/docker/api";
import { FakeDocker } from "./fake-docker";
import { Sandbox } from "./sandbox";
import { keyPair } from "./ssh-server";

const blank = { blkid: "#!/bin/sh\nexit 2\n", readlink: "#!/bin/sh\necho /dev/loop0\n" };

/** Notes what it is told, and what it finds. Pretends that /dev/loop0 is the disk: the scripts only ask whether it is a block device. */
export const installer = `#!/bin/sh
printf '%s\\n' "$*" > "$FAKE/installer.args"
cat /run/moorage/install/user-data.* > "$FAKE/installer.data"
stat -c %a /run/moorage/install/user-data.* > "$FAKE/installer.mode"
env | grep -i _proxy= | sort > "$FAKE/installer.environment"
echo "Downloading"
sleep "\${SLOW:-0}"
if [ -e "$FAKE/broken" ]; then echo "curl: could not fetch" ; exit 22; fi
touch "$FAKE/installed"
echo "Success! CoreOS is installed on $2"
`;

/** The same, but it ends there: for tests of what comes before it. */
export const failing = installer.replace('echo "Downloading"', "exit 1");

/** Reboots into the installed system: the installer's server goes away, another one comes up on the same port. */
export class Machine {
  target: Sandbox | undefined;
  readonly targetKey = keyPair();
  readonly liveKey = keyPair();
  readonly userKey = keyPair();
  live!: Sandbox;
  inputs!: InstallationInputs;

  static async start(changes: Partial<InstallationInputs> = {}): Promise<Machine> {
    const machine = new Machine();
    await machine.bootInstaller();
    const connection = machine.live.server.connection();
    machine.inputs = {
      node: "swarm-1",
      installer: connection,
      target: { ...connection, hostKey: machine.targetKey.public },
      userData: '{"ignition":{"version":"3.3.0"}}',
      installHash: "hash-1",
      disk: "/dev/disk/by-id/system",
      channel: "stable",
      version: "4081.2.0",
      timeoutSeconds: 40,
      ...changes,
    };
    return machine;
  }

  /** The reboot, once the installer has asked for it. */
  async rebootInto(hash: string, bootId = "installed"): Promise<void> {
    while (!(this.live.read("systemctl.log") ?? "").includes("reboot"))
      await new Promise((done) => setTimeout(done, 100));
    await this.comeUp(hash, bootId);
  }

  async comeUp(hash: string, bootId = "installed"): Promise<void> {
    await this.live.server.stop();
    const cat = `#!/bin/sh\ncase "$*" in */boot_id) echo ${bootId} ;; *) exec /bin/cat "$@" ;; esac\n`;
    const docker = await new FakeDocker().start();
    docker.on("GET", /^\/info$/, () => ({ json: { Name: "x", Swarm: { LocalNodeState: "inactive" } } }));
    this.target = await Sandbox.start(
      { cat },
      {
        userKey: this.userKey,
        hostKey: this.targetKey,
        port: this.inputs.target.port,
        sockets: { [DOCKER_SOCKET]: docker.path },
      },
    );
    this.target.write("etc/moorage/install.json", JSON.stringify({ installHash: hash }));
  }

  /** The live installer is booted, in place of the installed system where there is one. */
  async bootInstaller(): Promise<void> {
    await this.target?.server.stop();
    const cat = `#!/bin/sh\ncase "$*" in */boot_id) echo live ;; *) exec /bin/cat "$@" ;; esac\n`;
    const tools = { ...blank, cat, "flatcar-install": installer };
    const port = this.target && this.inputs.target.port;
    this.live = await Sandbox.start(tools, { userKey: this.userKey, hostKey: this.liveKey, port });
    this.live.tool("systemctl", `#!/bin/sh\necho "$*" >> "$FAKE/systemctl.log"\n`);
  }
}
