/** What neither ignition-validate nor coreos-cloudinit finds in user data, or finds only on the node. */
import type { Distribution } from "../model";
import type { DescribedFile, DescribedUnit, NodeDescription } from "./description";

/** One mistake: the file or unit, what is wrong with it, and what to do. */
export interface Fault {
  readonly item: string;
  readonly fault: string;
  readonly remedy: string;
}

const unitSuffixes =
  /.\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope|network|netdev|link)$/;
const unitName = /^[A-Za-z0-9:_.\\@-]+$/;

export function faultsOf(node: NodeDescription): Fault[] {
  return [
    ...node.files.flatMap((file) => fileFaults(file, node.distribution)),
    ...twice(node.files.map(({ path }) => `file ${path}`)),
    ...node.units.flatMap(unitFaults),
    ...twice(
      node.units.flatMap(({ name, dropIns }) => dropIns.map((one) => `drop-in ${name}.d/${one.name}`)),
    ),
    ...twice(node.users.map(({ name }) => `user ${name}`)),
  ];
}

/** @throws Error that names the node and each of its faults. */
export function refuseFaults(node: NodeDescription): void {
  const faults = faultsOf(node);
  if (faults.length > 0) {
    const lines = faults.map(({ item, fault, remedy }) => `  ${item}: ${fault}; ${remedy}`);
    throw new Error(`${node.hostname}: its user data cannot be applied.\n${lines.join("\n")}`);
  }
}

export function fileFaults({ path, mode }: DescribedFile, distribution: Distribution): Fault[] {
  const item = `file ${path}`;
  return [
    ...pathFaults(path, distribution).map((fault) => ({ item, ...fault })),
    ...modeFaults(mode).map((fault) => ({ item, ...fault })),
  ];
}

function pathFaults(path: string, distribution: Distribution): Omit<Fault, "item">[] {
  if (!path.startsWith("/")) {
    return [{ fault: "its path is relative, and nothing says to what", remedy: `write /${path}` }];
  }
  if (
    path.endsWith("/") ||
    path.split("/").some((part, at) => at > 0 && (part === "" || part === "." || part === ".."))
  ) {
    return [{ fault: "its path has empty parts, dots for parts, or no name", remedy: "write it out" }];
  }
  if (distribution === "fedora-coreos" && writableOnFedora.some((folder) => path.startsWith(`${folder}/`))) {
    return [];
  }
  if (path.startsWith("/usr/")) {
    return [{ fault: "/usr is read-only there", remedy: "put it below /etc, /opt or /var" }];
  }
  return distribution === "fedora-coreos"
    ? [{ fault: "/ is read-only there", remedy: "put it below /etc, /opt, /srv or /var" }]
    : [];
}

/**
 * /etc and /var, where others lead ("Configuring Storage" in Fedora CoreOS's documentation), and what is in memory: the
 * system has nothing else to write to.
 */
const writableOnFedora = [
  ...["/etc", "/var", "/home", "/mnt", "/opt", "/root", "/srv", "/usr/local"],
  ...["/run", "/tmp"],
];

function modeFaults(mode: number): Omit<Fault, "item">[] {
  if (!Number.isInteger(mode) || mode < 0) {
    return [{ fault: `its mode ${mode} is none`, remedy: "give permission bits such as 0o644" }];
  }
  const octal = `0o${mode.toString(8)}`;
  // 644 for 0o644, the usual slip, comes out as bits that shut the owner out.
  if ((mode & 0o400) === 0) {
    const remedy = `if ${mode} was meant as octal digits, write 0o${mode} or "0${mode}"`;
    return [{ fault: `its mode is ${octal}, with which not even its owner may read it`, remedy }];
  }
  return mode > 0o777
    ? [
        {
          fault: `its mode is ${octal}, and Ignition 3.3 has permission bits alone`,
          remedy: "leave out setuid, setgid and the sticky bit",
        },
      ]
    : [];
}

export function unitFaults(unit: DescribedUnit): Fault[] {
  const { name, content, dropIns, enabled } = unit;
  const item = `unit ${name || '""'}`;
  const faults = [...nameFaults(name)];
  const installs = content !== undefined && /^\[Install\]\s*$/m.test(content);
  if (content !== undefined && name.endsWith(".timer") && !installs) {
    faults.push({
      fault: "a timer without [Install] does not come back after a reboot",
      remedy: "add [Install] with WantedBy=timers.target",
    });
  } else if (content !== undefined && enabled && !installs) {
    faults.push({
      fault: "it is to be enabled, but has no [Install] that says where",
      remedy: "add [Install] with WantedBy=multi-user.target",
    });
  }
  return [
    ...faults.map((fault) => ({ item, ...fault })),
    ...dropIns
      .filter((dropIn) => !/^[^/]+\.conf$/.test(dropIn.name))
      .map((dropIn) => ({
        item: `${item}, drop-in ${dropIn.name || '""'}`,
        fault: "systemd reads drop-ins whose name ends in .conf only",
        remedy: `call it ${dropIn.name.replaceAll("/", "-") || "10-own"}.conf`,
      })),
  ];
}

function nameFaults(name: string): Omit<Fault, "item">[] {
  if (name === "") {
    return [
      {
        fault: "it has no name, and would be passed over",
        remedy: "name it, with a suffix such as .service",
      },
    ];
  }
  if (name.endsWith(".conf")) {
    return [
      {
        fault: "a .conf is no unit, and systemd would never read it",
        remedy: "give it as a drop-in of the unit that it is meant for",
      },
    ];
  }
  if (!unitSuffixes.test(name) || !unitName.test(name)) {
    return [
      {
        fault: "this is no unit's name",
        remedy: "end it in .service, .timer, .socket or another unit's suffix",
      },
    ];
  }
  return [];
}

function twice(items: readonly string[]): Fault[] {
  return [...new Set(items.filter((item, at) => items.indexOf(item) !== at))].map((item) => ({
    item,
    fault: "is there twice",
    remedy: "keep one of the two, or give one another name",
  }));
}
