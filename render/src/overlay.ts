/** What of a network's MTU is left for containers on an overlay of Docker's. */

/** Ethernet's, and what Docker takes an overlay's network below it to have where it is told nothing. */
export const defaultMtu = 1500;

/** Outer Ethernet (14), IPv4 (20), UDP (8) and VXLAN (8) headers: RFC 7348; `vxlanEncap` in Docker's overlay driver. */
const vxlan = 50;
/** ESP by AES-GCM, its padding left out: RFC 4106; `pktExpansion` in Docker's overlay driver. */
const esp = 26;
/** ESP pads to four bytes. */
const padding = 4;

/**
 * The option of an overlay network that tells Docker the MTU below it; none where that is Docker's own assumption.
 * Despite its name it is not the containers' MTU: the driver takes `overlayMtu` of it (`maxMTU` in
 * libnetwork/drivers/overlay, the same in every Docker that has encrypted overlays).
 */
export function overlayMtuOption(underlay: number): Readonly<Record<string, string>> {
  return underlay === defaultMtu ? {} : { "com.docker.network.driver.mtu": String(underlay) };
}

/** The MTU of containers' interfaces on an overlay, by the MTU of the network between its nodes. */
export function overlayMtu(underlay: number, encrypted: boolean): number {
  const inner = underlay - vxlan - (encrypted ? esp : 0);
  return encrypted ? inner - (inner % padding) : inner;
}
