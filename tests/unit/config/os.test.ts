import { describe, expect, test } from "vitest";
import { warningsOf } from "../../../config/warnings";
import { configWith, mistakesWith, testMistakes, type Settings } from "./mistakes";

describe("the operating system", () => {
  const needsEtcd2 = (who: string) =>
    `os.containerLinux.etcd2: nothing; etcd2 with its discovery URL, where ${who} keeps its data`;

  testMistakes({
    "os.distribution: flatcar": [],
    "os.distribution: coreos": [],
    "os.format: cloud-config": [],
    "{ os.distribution: fedora-coreos, os.channel: next }": [],
    "os.distribution: ubuntu": 'os.distribution: "ubuntu"; one of flatcar, fedora-coreos, coreos',
    "{ os.distribution: fedora-coreos, os.format: cloud-config }":
      "os.format: cloud-config; ignition for fedora-coreos",
    "{ os.distribution: coreos, os.format: ignition }": "os.format: ignition; cloud-config for coreos",
    "os.channel: next": "os.channel: next; one of stable, beta, alpha, lts for flatcar",
    "{ os.distribution: fedora-coreos, os.version: '41.1' }":
      "os.version: 41.1; no version: coreos-installer takes the newest of its stream. To pin a release, give its image (os.image)",
    "{ os.distribution: fedora-coreos, os.updateStrategy: etcd-lock }":
      "os.updateStrategy: etcd-lock; off or reboot for fedora-coreos",
    "os.timeZone: UTC; reboot": 'os.timeZone: "UTC; reboot"; a time zone such as Europe/Berlin',
    "os.containerLinux: { insecureDockerApi: true, insecureRegistries: ['a:5000'] }":
      "os.containerLinux: fleet, insecureDockerApi, insecureRegistries; nothing: flatcar has none of it",
    "{ os.distribution: coreos, os.containerLinux: { fleet: true, flannel: { network: 10.1.0.0/16 } } }": [
      needsEtcd2("fleet"),
      needsEtcd2("flannel"),
    ],
    "{ os.distribution: coreos, os.containerLinux: { etcd2: {} } }":
      "os.containerLinux.etcd2.discovery: nothing; a URL that starts with http:// or https://",
    "os.users: { usera: { password: true, insecureMd5Password: true } }":
      "os.users.usera.insecureMd5Password: true; false: only distribution coreos may have it",
    "{ os.distribution: coreos, os.users: { usera: { insecureMd5Password: true } } }":
      "os.users.usera.insecureMd5Password: true; password: true beside it",
    "os.users: { core: {} }":
      "os.users.core: core; a user of your own; core has its key by os.sshAuthorizedKey",
    "{ os.distribution: coreos, os.clockTimer: true }":
      "os.ntp: []; a time server, which ntpdate has to be told (os.clockTimer)",
    "os.users: { usera: { password: hunter2 } }": 'os.users.usera.password: "hunter2"; true or false',
  });
});

describe("warnings", () => {
  const warnings = (settings: Settings) => warningsOf(configWith(settings));
  const noEtcd = expect.stringMatching(
    /^os\.updateStrategy: found etcd-lock; wanted an etcd .* no update is ever booted\. /,
  );

  test("there is none if nothing is insecure", () => {
    expect(warnings({})).toEqual([]);
  });

  test("a lock in an etcd that the configuration does not name", () => {
    const lock = "os.updateStrategy: etcd-lock";
    const dropIn =
      'os.units: { locksmithd.service: { dropIns: { own.conf: "[Service]\\nEnvironment=LOCKSMITHD_ENDPOINT=x\\n" } } }';
    const etcd2 =
      "os.containerLinux: { etcd2: { discovery: 'https://discovery.domain.com/5d3c1a' } }\nos.distribution: coreos";
    expect(warnings(lock)).toEqual([noEtcd]);
    expect(warnings(`${lock}\n${dropIn}`)).toEqual([]);
    expect(warnings("os.updateStrategy: reboot")).toEqual([]);
    expect(warnings(`${lock}\n${etcd2}`)).not.toContainEqual(noEtcd);
  });

  test("groups that Container Linux does not give", () => {
    const users = "os.users: { usera: { groups: [sudo, kvm, docker, nowhere] }, userb: {} }";
    expect(warnings(users)).toEqual([]);
    expect(warnings(`${users}\nos.distribution: coreos`).slice(1)).toEqual([
      "os.users.usera.groups: found kvm, nowhere; wanted of docker, sudo, wheel: Container Linux puts users into no group " +
        "of its /usr, and ends its user data at one that it does not know",
    ]);
  });
});

describe("the user's own files and units", () => {
  const fileTaken =
    "a file that the program writes itself; another path, or the key of the configuration that the file is made from";

  testMistakes({
    'os.units: { 60-wait.conf: { content: "[Unit]\\n" } }':
      "os.units.60-wait.conf: a .conf is no unit, and systemd would never read it; give it as a drop-in of the unit that it is meant for",
    'os.units: { backup: { content: "[Service]\\n" } }':
      "os.units.backup: this is no unit's name; end it in .service, .timer, .socket or another unit's suffix",
    'os.units: { backup.timer: { content: "[Timer]\\nOnCalendar=daily\\n" } }':
      "os.units.backup.timer: a timer without [Install] does not come back after a reboot; add [Install] with WantedBy=timers.target",
    "os.files: { etc/own: { content: '' } }": 'os.files.etc/own: "etc/own"; an absolute path',
    "os.files: { /usr/bin/own: { content: '' } }":
      "os.files./usr/bin/own: /usr is read-only there; put it below /etc, /opt or /var",
    "os.files: { /etc/own: { content: '', permissions: 420 } }":
      'os.files./etc/own.permissions: 420; permissions as quoted octal digits, such as "0644"',
    "os.files: { /etc/own: { content: '', permissions: '0044' } }":
      'os.files./etc/own: its mode is 0o44, with which not even its owner may read it; if 36 was meant as octal digits, write 0o36 or "036"',
    "os.files: { /etc/docker/daemon.json: { content: '{}' } }": `os.files./etc/docker/daemon.json: ${fileTaken}`,
    "os.files: { /etc/ssh/ssh_host_ed25519_key: { content: '' } }": `os.files./etc/ssh/ssh_host_ed25519_key: ${fileTaken}`,
    "os.units: { docker.service: { enabled: false } }":
      "os.units.docker.service: a unit that the program writes itself; another name, or drop-ins alone",
    'os.units: { docker.service: { dropIns: { 30-moorage-slice.conf: "[Unit]\\n" } } }':
      "os.units.docker.service.dropIns.30-moorage-slice.conf: a drop-in that the program writes itself; another name",
    'os.units: { docker.service: { dropIns: { 50-own: "[Service]\\n" } } }':
      "os.units.docker.service: systemd reads drop-ins whose name ends in .conf only; call it 50-own.conf",
    "os.files: { /opt/bin/own: { content: '', permissions: '0755' } }": [],
    'os.units: { docker.service: { dropIns: { 50-own.conf: "[Service]\\nNice=5\\n" } } }': [],
  });
});

describe("Fedora CoreOS writes to /etc and /var, and to links into them", () => {
  const files = (...paths: string[]) =>
    `os.files: { ${paths.map((one) => `${one}: { content: '' }`).join()} }`;
  const fedora = "os.distribution: fedora-coreos\n";
  const elsewhere = "/ is read-only there; put it below /etc, /opt, /srv or /var";

  testMistakes({
    [`${fedora}${files("/etc/own", "/var/own", "/opt/bin/own", "/usr/local/bin/own", "/home/usera/own", "/srv/own")}\nstorage.mountPoint: /srv/data`]:
      [],
    [`${fedora}${files("/own", "/data/own", "/usr/bin/own")}\nstorage.mountPoint: /data`]: [
      `os.files./own: ${elsewhere}`,
      `os.files./data/own: ${elsewhere}`,
      "os.files./usr/bin/own: /usr is read-only there; put it below /etc, /opt or /var",
      `storage.mountPoint: /data: ${elsewhere}`,
    ],
    [`${files("/own", "/data/own")}\nstorage.mountPoint: /data`]: [],
  });
});

describe("the system's image in a file", () => {
  const sums = "either sha512 or sha256 beside the path, as the distribution publishes it";
  const sha512 = "a".repeat(128);
  const sha256 = "a".repeat(64);
  const fedora = "os.distribution: fedora-coreos\n";

  testMistakes({
    "os.image: { path: flatcar_production_image.bin.bz2 }": `os.image: no checksum; ${sums}`,
    [`os.image: { path: flatcar_production_image.bin.xz, sha512: ${sha512} }`]:
      "os.image.path: flatcar_production_image.bin.xz; an image that the installer can write, such as flatcar_production_image.bin.bz2, or unpacked as .bin",
    [`${fedora}os.image: { path: image.bin.bz2, sha512: ${sha512}, sha256: ${sha256} }`]: [
      `os.image: two checksums; ${sums}`,
      "os.image.path: image.bin.bz2; a metal image of Fedora CoreOS, such as fedora-coreos-….x86_64.raw.xz",
    ],
    [`os.image: { path: images/flatcar_production_image.bin.bz2, sha512: ${sha512} }`]: [],
    [`${fedora}os.image: { path: /srv/fedora-coreos.raw.xz, sha256: ${sha256} }`]: [],
  });
});

describe("on platform existing", () => {
  const hostsOwn = {
    users: { usera: {} },
    clockTimer: true,
    aliases: true,
    format: "ignition",
    version: "1",
    sshAuthorizedKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    image: { path: "a.raw", sha256: "a".repeat(64) },
    distribution: "fedora-coreos",
    channel: "testing",
    timeZone: "Europe/Berlin",
    updateStrategy: "reboot",
  };

  test("the operating system is its owner's", () => {
    const found = mistakesWith({ os: hostsOwn }, "existing");
    const owners = found.filter((one) => one.includes("that is the hosts' owner's"));
    expect(owners.map((one) => one.split(":")[0])).toEqual(Object.keys(hostsOwn).map((key) => `os.${key}`));
    const harmless = { timeZone: "UTC", channel: "stable", updateStrategy: "off", motd: "hello" };
    expect(mistakesWith({ os: harmless }, "existing")).toEqual([]);
  });

  test("a host is not installed", () => {
    const keys = ["nodes.node1.disk", "nodes.node1.erasableDisk", "nodes.node1.installer"];
    const found = mistakesWith({ [keys[0]!]: "/dev/sda", [keys[1]!]: "S1", [keys[2]!]: {} }, "existing");
    expect(found.map((one) => one.split(":")[0])).toEqual(keys);
  });

  test("a serial number without a data disk is refused", () => {
    const keys = ["wipeDataDiskSerial", "adoptDiskSerial"].map((key) => `nodes.node1.${key}`);
    const found = mistakesWith(Object.fromEntries(keys.map((key) => [key, "S1"])), "existing");
    expect(found).toEqual(keys.map((key) => `${key}: S1; nothing, as the node has no \`dataDisk\``));
  });
});
