/** What a machine's live system is started with by the network, or from a stick: before anything is installed. */
import type { InstallerModel } from "./installer";
import type { Distribution, UserDataModel } from "./model";
import { word } from "./text";
import { renderDescription } from "./user-data";
import { describeNode, installMarkerPath } from "./user-data/describe";

export interface LiveModel extends InstallerModel {
  readonly distribution: Distribution;
}

/**
 * Ignition for a live system of Flatcar or Fedora CoreOS: who may log in, its host key, its address. It is no part of
 * what is installed later, whose keys it does not hold.
 */
export function renderLiveIgnition({ sshAuthorizedKeys, ...known }: LiveModel): string {
  const model: UserDataModel = {
    ...known,
    users: [{ name: "core", groups: [], sshAuthorizedKeys }],
    updateStrategy: "off",
  };
  const node = describeNode(model, { installHash: "" });
  const files = node.files.filter(({ path }) => path !== installMarkerPath);
  return renderDescription({ ...node, files, units: [] }, "ignition");
}

export interface IpxeArgs {
  readonly hostname: string;
  readonly distribution: Distribution;
  /** Flatcar's channel, or Fedora CoreOS's stream. */
  readonly channel: string;
  /** Release of the live system. @default the channel's newest; Fedora CoreOS's files have it in their names */
  readonly release?: string;
  /** URL of the folder with the live system's files. @default the distribution's own server, for x86-64 */
  readonly mirror?: string;
  /** URL of the Ignition above. */
  readonly ignition: string;
}

/**
 * An iPXE script, with the kernel's arguments that the distributions document: for Flatcar "Booting via iPXE"
 * (content/docs/latest/installing/bare-metal/booting-with-ipxe.md in flatcar/flatcar-website), for Fedora CoreOS
 * "Running directly from RAM" (modules/ROOT/pages/live-booting.adoc in coreos/fedora-coreos-docs).
 * @throws Error for what the distribution cannot be started with.
 */
export function renderIpxe(args: IpxeArgs): string {
  const head = ["#!ipxe", `# The live system that ${word(args.hostname, "name")} is installed from.`];
  return [...head, ...bodyOf(args), "boot", ""].join("\n");
}

function bodyOf({ distribution, channel, release, mirror, ignition }: IpxeArgs): string[] {
  const url = plainUrl(ignition);
  switch (distribution) {
    case "flatcar": {
      const server = `https://${word(channel, "channel")}.release.flatcar-linux.net/amd64-usr/${word(release ?? "current", "release")}`;
      const image = "flatcar_production_pxe_image.cpio.gz";
      return [
        `set base-url ${mirror === undefined ? server : plainUrl(mirror)}`,
        `kernel \${base-url}/flatcar_production_pxe.vmlinuz initrd=${image} flatcar.first_boot=1 ignition.config.url=${url}`,
        `initrd \${base-url}/${image}`,
      ];
    }
    case "fedora-coreos": {
      if (release === undefined) {
        throw new Error(
          `Fedora CoreOS's files have their release in their names: name one (--release 42.20250803.3.0, say) of those at https://builds.coreos.fedoraproject.org/streams/${channel}.json`,
        );
      }
      const version = word(release, "release");
      const server = `https://builds.coreos.fedoraproject.org/prod/streams/${word(channel, "stream")}/builds/${version}/x86_64`;
      const file = (part: string) => `\${base-url}/fedora-coreos-${version}-live-${part}`;
      return [
        `set base-url ${mirror === undefined ? server : plainUrl(mirror)}`,
        `kernel ${file("kernel.x86_64")} initrd=main coreos.live.rootfs_url=${file("rootfs.x86_64.img")} ignition.firstboot ignition.platform.id=metal ignition.config.url=${url}`,
        `initrd --name main ${file("initramfs.x86_64.img")}`,
      ];
    }
    case "coreos":
      throw new Error(
        "Container Linux's servers are gone, and its Ignition is an older one: start its live system from its ISO",
      );
    default:
      return distribution satisfies never;
  }
}

/** iPXE reads `${…}` as a variable and a blank as an end. */
function plainUrl(url: string): string {
  if (/^(https?|tftp):\/\/[A-Za-z0-9._~:/?[\]@!&()*+,;=%-]+$/.test(url)) return url;
  throw new Error(`${JSON.stringify(url)} is no URL that starts with http://, https:// or tftp://`);
}
