import { describe, expect, test } from "vitest";
import { mistakesWith, type Settings } from "./mistakes";

const ed25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/** Whole keys of every type, made for this test by ssh-keygen; those of a security key are put together by hand. */
const wholeKeys = {
  rsa: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC0PXYfLwgB5cbO6srMUO3hy16r2q0/yWlq9YEq/LOC79cFbmKhmRRG2UrBwDSbAmaKFkQdVdkfXR/6GT/6UC+mw5FB00UHtRqT0nsfZexMkH894pSsU5rty1Eib59p7TUI0mM1GH9I0c/PzNxb0FzOoRjBjPdAKSA9bJGlGkALuw==",
  p256: "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBI8CZc/AAeRbrdTcFvpqVyxlTiSFAzDIxahw3A83bW9BZMb/4+Rl0P1b8Df2tbo1ksjoZDmM9ZBzUM8MgJ5/1iA=",
  p384: "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBF6I0zzlfA4aXGW8B7AmXhgBy0EJBoeT3fPWQU8Gan3KLWme760iSGTb9uHEB895RVwJhRBWs3lIknPNUNWZM50tg0XYiVsisU9u/zO8OGu9yLj8/ysFC5QEXU81PzTTCw==",
  p521: "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADxr2yjtRU9z0wuLB7v1bjnut2bC/sKxWY5LC+KhpY2Gb1L2F3vEzuom50wIFNFNN4jAe0N8EVPS+VEnx2iua1dEQAo4JXQiOog8OUrSljRXSPOI+/Rq2qKsbKElJAaC5jR7703NhRoZ3LMPvH/pAV2jtCkXAvzistTh8UDZJXKjh5R2Q==",
  skEd25519: `sk-ssh-ed25519@openssh.com ${blobOf("sk-ssh-ed25519@openssh.com", Buffer.alloc(32), "ssh:")}`,
  skP256: `sk-ecdsa-sha2-nistp256@openssh.com ${blobOf("sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", Buffer.alloc(65, 4), "ssh:")}`,
};
const folder =
  "an absolute path of letters, digits and ._:@+-, without . or .. for parts, that is no folder of the system's such as /etc or /var/lib/docker";
const key = "a whole public key on one line, such as ssh-ed25519 AAAA…";
const repositories = "a repository, a prefix such as team/*, or *";
const dnsName = "a DNS name such as registry.example.com";
const host = "a name or address such as node1.example.com or 10.0.2.11";
const device = "a device such as /dev/disk/by-id/… (a name that survives a reboot)";
const image = "the path of an archive made by `docker save`";
const direct =
  "what is reached without a proxy: a name, a domain such as .example.com, an address or a subnet";
const url = "a URL that starts with http:// or https://";
const label = "a".repeat(64);
const longName = `${`${"a".repeat(60)}.`.repeat(4)}${"a".repeat(12)}`;

/** A key's blob: each part with its length before it. */
function blobOf(...parts: (string | Buffer)[]): string {
  const framed = parts.map((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(part));
    return Buffer.concat([length, Buffer.from(part)]);
  });
  return Buffer.concat(framed).toString("base64");
}

type Refused = readonly [path: string, wanted: string, values: readonly unknown[]];

/** Values that are refused, by path, with what is wanted there. */
const refused: readonly Refused[] = [
  [
    "storage.mountPoint",
    folder,
    [
      ..."/ /etc /etc/x /usr/x /var /var/lib /var/lib/docker /var/lib/docker/x /boot /proc/1 /sys /dev/shm /run/x".split(
        " ",
      ),
      ..."/var/run/x /tmp /tmp/x /root /home /opt /a/../../etc /a/./b /data/ //data data /data$x".split(" "),
      ...["/data dir", "/data\n", "/data\n/x", "/da\0ta", ""],
    ],
  ],
  ["nodes.node1.dataDirectory", folder, ["/", "/etc", "/srv/../etc", "/srv data"]],
  [
    "nodes.coreos1.dataDisk",
    device,
    ["/dev/", "/dev/sd b", "/dev/../etc", "/dev/sdb;x", "/dev/sdb\n", "/dev/a%b"],
  ],
  [
    "nodes.coreos1.ssh.hostKey",
    key,
    [
      `ssh-ed25519 ${ed25519}\nssh-ed25519 ${ed25519}`,
      `ssh-ed25519 ${ed25519}\n`,
      `ssh-rsa ${ed25519}`,
      "ssh-ed25519 AAA",
      "ssh-ed25519 bm9uZQ==",
      `ssh-ed25519 ${ed25519}$(reboot)`,
      ed25519,
      "ssh-rsa AAAAB3",
      // Cut off, one byte short or long, another type inside, and numbers and points that are none.
      ...Object.values(wholeKeys).map((one) => one.slice(0, -4)),
      `ssh-ed25519 ${blobOf("ssh-ed25519", Buffer.alloc(31))}`,
      `ssh-ed25519 ${blobOf("ssh-ed25519", Buffer.alloc(32), "")}`,
      `ssh-ed25519 ${blobOf("ssh-rsa", Buffer.alloc(32))}`,
      `ssh-rsa ${blobOf("ssh-rsa", Buffer.from([1, 0, 1]), Buffer.alloc(127, 1))}`,
      `ssh-rsa ${blobOf("ssh-rsa", Buffer.from([0x81, 0, 1]), Buffer.alloc(257, 1))}`,
      `ssh-rsa ${blobOf("ssh-rsa", Buffer.from([1, 0, 1]), Buffer.alloc(257))}`,
      `ecdsa-sha2-nistp256 ${blobOf("ecdsa-sha2-nistp256", "nistp384", Buffer.alloc(65, 4))}`,
      `ecdsa-sha2-nistp256 ${blobOf("ecdsa-sha2-nistp256", "nistp256", Buffer.alloc(65, 2))}`,
      // Taken by no OpenSSH of today, and a certificate in place of a key.
      `ssh-dss ${blobOf("ssh-dss", Buffer.alloc(129, 1), Buffer.alloc(20, 1), Buffer.alloc(128, 1), Buffer.alloc(128, 1))}`,
      `ssh-ed25519-cert-v01@openssh.com ${blobOf("ssh-ed25519-cert-v01@openssh.com", Buffer.alloc(32))}`,
      `constructor ${ed25519}`,
    ],
  ],
  ["os.sshAuthorizedKey", key, [`ssh-ed25519 ${ed25519} me\nx`, "ssh-ed25519 no-base64"]],
  [
    "registry.users.ci.rights.0.repositories",
    repositories,
    ["a//b", "a..b", "a___b/*", "a/", "-a", "A", "*/a", "a*", "/*", "a".repeat(256)],
  ],
  [
    "edge.hostname",
    dnsName,
    [
      ..."256.1.1.1 10.0.2.10 localhost a.localhost a..b a.b. a-.b A.com".split(" "),
      `${label}.com`,
      longName,
    ],
  ],
  ["network.domain", dnsName, ["256.1.1.1", "localhost", `${label}.com`, longName]],
  [
    "edge.alternativeNames.0",
    "a DNS name or an IPv4 address",
    ["256.1.1.1", `${label}.com`, longName, "a b"],
  ],
  ["edge.proxyTimeoutSeconds", "a whole number from 10 to 86400", [9, 86401, 1e15, 1e99, 30.5, "30"]],
  ["edge.limits.connections", "a whole number from 16 to 4096", [15, 4097, 20.5, "20"]],
  ["edge.limits.requestsPerSecond", "a whole number from 10 to 10000", [9, 10001]],
  ["edge.limits.layerGibibytes", "a whole number from 1 to 312", [0, 313]],
  ["edge.port", "a TCP port from 1 to 65535", [0, 65536, 1e99, 1.5, -1, "443"]],
  [
    "swarm.logMaxSize",
    "a size from 1k to 100g, such as 10m",
    ["0m", "00m", "101g", "999999999g", "10", "10M", "10 m", ""],
  ],
  ["swarm.logMaxFile", "a whole number from 1 to 1000", [0, 1001, 1e15]],
  [
    "swarm.memoryMax",
    "a size from 512M, such as 3G, or a share from 10% to 100%",
    ["", "0", "9%", "101%", "511M", "3 G", "-1G", "1.5G", "3g", "infinity", 80],
  ],
  ["swarm.tasksMax", "a whole number from 128 to 4194304", [127, 4194305, 1e15]],
  [
    "os.timeZone",
    "a time zone such as Europe/Berlin",
    ["Nowhere/City", "europe/berlin", "+01", "../../etc/passwd", ""],
  ],
  ["os.ntp.0", "a time server's name or address", ["", "a b", "a\nb"]],
  ["os.users.a.groups.0", "a group's name", ["", "su do", "a/b", "a:b", "7"]],
  ["os.version", "a version such as 4230.2.1", ["", "1 2", "1;2"]],
  ["os.image.sha512", "128 hexadecimal digits", ["", "abc", "A".repeat(128), "a".repeat(64)]],
  ["os.image.sha256", "64 hexadecimal digits", ["", "a".repeat(128)]],
  ["os.image.path", "the path of an image file on this machine", ["", "a\nb"]],
  ...["erasableDisk", "wipeDataDiskSerial", "adoptDiskSerial"].map((key): Refused => [
    `nodes.coreos1.${key}`,
    "a disk's serial number in quotes, as `lsblk -d -o NAME,SERIAL` shows it on the node",
    ["", " S1", "S1 ", "S\n1", 1234],
  ]),
  ["os.motd", "a text of whole characters", ["\ud800"]],
  ["os.proxies.http", url, ['http://a"b', "http://a\\b", "http://a b", "http://a\n", "ftp://a"]],
  ["os.proxies.exclude.0", direct, ["", "a b", 'a"b', "a,b", "a\nb"]],
  [
    "nodes.coreos1.interface",
    "a network interface's name such as eth0, or its MAC address such as 08:00:27:aa:bb:01",
    ["eth0; reboot", ""],
  ],
  ["nodes.coreos1.ssh.host", host, ["", "a b", "256.1.1.1", "-oProxyCommand=x"]],
  [
    "nodes.coreos1.ssh.user",
    "a user's name of letters, digits and ._@-, such as core",
    ["", "a b", "-l", "a:b"],
  ],
  ["nodes.coreos1.labels.region", "a text of one line, without control characters", ["a\nb"]],
  ["network.subnet", "an IPv4 subnet such as 10.0.2.0/24", ["10.0.2.0/024", "10.0.2.0/33", "10.0.2.0"]],
  ["images.nginx.archive", image, [""]],
];

/** Where the lab's stack has nothing, a value stands in a list or beside others. */
function settingsFor(path: string, value: unknown): Settings {
  const [, list = "", key] = /^(.*)\.0(?:\.(\w+))?$/.exec(path) ?? [];
  if (list === "") return { [path]: value };
  return { [list]: [key === undefined ? value : { [key]: value, access: "read" }] };
}

describe("is refused once, with what is wanted:", () => {
  test.each(refused)("%s", (path, wanted, values) => {
    const stack = path.endsWith("dataDirectory") ? "existing" : "dev";
    const found = values.map((value) =>
      mistakesWith(settingsFor(path, value), stack).filter((one) => one.startsWith(`${path}: `)),
    );
    expect(found).toEqual(values.map((value) => [`${path}: ${JSON.stringify(value)}; ${wanted}`]));
  });
});

describe("is accepted though it looks odd:", () => {
  const accepted: readonly (readonly [path: string, values: readonly unknown[]])[] = [
    [
      "storage.mountPoint",
      ["/srv", "/mnt/data", "/data", "/var/lib/registry", "/home/data", "/var/lib/dockerless"],
    ],
    ["nodes.coreos1.dataDisk", ["/dev/sdc", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0"]],
    [
      "nodes.coreos1.ssh.hostKey",
      [`ssh-ed25519 ${ed25519}`, `ssh-ed25519 ${ed25519} root@node 1`, ...Object.values(wholeKeys)],
    ],
    ["nodes.coreos1.ssh.host", ["10.0.2.11", "fd00::11", "Node_1.example.com", "localhost"]],
    ["nodes.coreos1.ssh.identityFile", ["/there/is/none such", "~/.ssh/id"]],
    ["edge.hostname", ["registry", "r.example.com", `${"a".repeat(63)}.com`, "1.a"]],
    ["edge.alternativeNames", [["localhost", "127.0.0.1", "a.example.com"]]],
    [
      "os.timeZone",
      ["UTC", "Etc/UTC", "Asia/Calcutta", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "US/Eastern"],
    ],
    ["swarm.logMaxSize", ["1k", "10m", "100g"]],
    ["os.proxies.exclude", [["/var/run/docker.sock", ".example.com", "10.0.0.0/8", "*.a", "[::1]"]]],
    [
      "registry.users.ci.rights",
      [["a__b", "a---b/c.d/*", "a_b"].map((one) => ({ repositories: one, access: "read" }))],
    ],
  ];
  test.each(accepted)("%s", (path, values) => {
    expect(values.flatMap((value) => mistakesWith({ [path]: value }))).toEqual([]);
  });
});

describe("no name is", () => {
  const name = "a user name of lower-case letters and digits";
  const hostName =
    "a host name of lower-case letters, digits and hyphens, at most 36 characters, other than localhost";
  const unknown =
    "an unknown key; one of platform, hypervisor, nodes, os, network, swarm, etcd, storage, registry, edge, images";

  test.each<[string, string, unknown]>([
    ["toString", unknown, {}],
    ["constructor", unknown, {}],
    ["__proto__", unknown, {}],
    ["edge.toString", "an unknown key; no such key", 1],
    ["edge.__proto__", "an unknown key; no such key", {}],
    ["nodes.__proto__", '"__proto__"; another name', {}],
    ["os.users.__proto__", '"__proto__"; another name', {}],
    ["registry.users.__proto__", '"__proto__"; another name', {}],
    ["nodes.coreos1.labels.__proto__", '"__proto__"; another name', "x"],
    ["nodes.constructor", `"constructor"; ${hostName}`, {}],
    ["os.users.constructor", `"constructor"; ${name}`, {}],
    ["registry.users.constructor", `"constructor"; ${name}`, {}],
    ["os.users.root", "root; a user of your own", {}],
  ])("%s", (path, expected, value) => {
    expect(mistakesWith({ [path]: value })).toContain(`${path}: ${expected}`);
  });
});
