import { describe, expect, test } from "vitest";
import { configWith, testMistakes } from "./mistakes";

test("the hypervisor has defaults for what the article's stack leaves out", () => {
  expect(configWith({}, "virtualbox").hypervisor).toMatchObject({
    network: { name: "moorage", dhcp: false },
    registryPort: 8443,
    memory: 2048,
    nicType: "virtio",
    keepDataDisks: true,
    iso: {},
  });
  expect(configWith("hypervisor: ~", "virtualbox").hypervisor).toMatchObject({
    memory: 4096,
    cpus: 2,
    systemDisk: 16,
    dataDisk: 64,
  });
});

describe("each mistake is answered with its path, what was found and what is wanted", () => {
  const memory = "2048 or more, which Flatcar needs to boot its live system";
  const port = "a port of the hypervisor that leads to this node alone, such as 2011";
  const flatcar = (distribution: string, reads: string) =>
    `os.distribution: ${distribution}; flatcar on platform virtualbox: the live system of ${distribution} ${reads} the config drive that a new guest is told its keys by. On platform metal it can be installed`;

  testMistakes(
    {
      "hypervisor.memory: 1024": `hypervisor.memory: 1024; ${memory}`,
      "nodes.coreos1.guest: { memory: 512 }": `nodes.coreos1.guest.memory: 512; ${memory}`,
      "nodes.coreos1.guest: { mac: '09:00:27:00:00:11' }":
        'nodes.coreos1.guest.mac: "09:00:27:00:00:11"; a MAC address such as 08:00:27:00:00:11, its second digit even',
      "{ os.distribution: fedora-coreos, os.channel: stable, os.format: ~ }": flatcar(
        "fedora-coreos",
        "does not read",
      ),
      "{ os.distribution: coreos, os.channel: stable, os.format: ~ }": flatcar(
        "coreos",
        "was never tried with",
      ),
      "nodes.coreos2.ssh: { port: 2011 }": `nodes.coreos2.ssh.port: 2011, which is coreos1's; ${port}`,
      "nodes.coreos2.ssh: ~": `nodes.coreos2.ssh.port: 22, which is the hypervisor's own; ${port}`,
      "hypervisor.registryPort: 2014": `nodes.coreos4.ssh.port: 2014, which is the registry's; ${port}`,
      "nodes.coreos1.installer: { port: 2011 }":
        "nodes.coreos1.installer: an endpoint; nothing: on platform virtualbox the live installer is reached as the installed system is",
      "network.gateway: 10.0.2.254":
        "network.gateway: 10.0.2.254; 10.0.2.1, which VirtualBox gives the gateway of a NAT network",
      "hypervisor.iso: { url: 'https://example.com/{version}/a.iso', path: /srv/a.iso }":
        "hypervisor.iso.path: /srv/a.iso; either url or path, not both",
      "hypervisor.ssh: { host: workstation }": "hypervisor.ssh.user: nothing; the user whose guests they are",
      "hypervisor.nicType: e1000": 'hypervisor.nicType: "e1000"; one of virtio, 82540EM, 82545EM',
    },
    "virtualbox",
  );
  testMistakes(
    {
      "{ hypervisor.memory: 4096, nodes.node1.guest: { cpus: 4 } }": [
        "hypervisor: a hypervisor; platform virtualbox; this stack's is existing",
        "nodes.node1.guest: a guest; platform virtualbox; this stack's is existing",
      ],
    },
    "existing",
  );
});
