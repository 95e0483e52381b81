/** What a state has of the Swarm's secrets and networks, as Docker's provider records them. */
const labels = [{ label: "moorage.stack", value: "moorage/dev" }];

export const SECRET = {
  type: "docker:index/secret:Secret",
  id: "secret-1",
  outputs: { name: "nginx-key-1", labels, data: "c2VjcmV0" },
};

export const NETWORK = {
  type: "docker:index/network:Network",
  id: "network-1",
  outputs: {
    name: "services",
    labels,
    attachable: false,
    driver: "overlay",
    ingress: false,
    internal: false,
    ipamConfigs: [{ auxAddress: null, gateway: "10.20.1.1", ipRange: "", subnet: "10.20.1.0/24" }],
    ipamDriver: "default",
    ipv6: false,
    options: { "com.docker.network.driver.overlay.vxlanid_list": "8020" },
    scope: "swarm",
  },
};
