/** Folders for data: where a disk can be mounted, or objects kept, without hiding or filling the system's own. */
import { text } from "./values";

/** The system lives in these; a folder below them may be anything. */
const inUse = [
  "/var",
  "/var/lib",
  "/var/log",
  "/var/cache",
  "/var/spool",
  "/var/opt",
  "/home",
  "/opt",
  "/etc",
];

/** What is below these is made anew at every boot, or belongs to something else. */
const taken = [
  ..."bin boot dev etc lib lib32 lib64 lost+found proc root run sbin sys sysroot tmp usr"
    .split(" ")
    .map((one) => `/${one}`),
  ..."lock mail run tmp lib/containerd lib/docker lib/etcd lib/etcd2 lib/systemd"
    .split(" ")
    .map((one) => `/var/${one}`),
];

function isFreeFolder(path: string): boolean {
  const plain = /^(\/[A-Za-z0-9._:@+-]+)+$/.test(path) && !/\/\.{1,2}(\/|$)/.test(path);
  return plain && !inUse.includes(path) && !taken.some((one) => `${path}/`.startsWith(`${one}/`));
}

export const dataFolder = text(
  isFreeFolder,
  "an absolute path of letters, digits and ._:@+-, without . or .. for parts, that is no folder of the system's such as /etc or /var/lib/docker",
);
