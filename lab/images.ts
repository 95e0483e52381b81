import * as fs from "node:fs";
import * as path from "node:path";
import { packLayer, writeArchive, writeTestImage, type ImageConfig, type Layer } from "./archive";
import { LabError, must, run } from "./exec";
import { cached, debianRoot, keyOf } from "./roots";

/** The programs built from source that go into images: paths to static binaries. */
export interface Binaries {
  readonly minio: string;
  readonly mc: string;
  readonly registry: string;
}

/** The images the lab's nodes load, and `hello`, a small one to push. */
export type ImageName = "minio" | "registry" | "nginx" | "haproxy" | "keepalived" | "etcd" | "hello";

// trixie's nginx is older than 1.27.3, the first that asks the resolver again for a name in an upstream.
const SUITE = "forky";
const PACKAGES = [
  "nginx",
  "libnginx-mod-http-js",
  "haproxy",
  "keepalived",
  "etcd-server",
  "etcd-client",
  "ca-certificates",
  "curl",
  "iproute2",
  "busybox-static",
];

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const VERSION = 1;

const PASSWD = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
haproxy:x:99:99:haproxy:/var/lib/haproxy:/bin/false
nginx:x:101:101:nginx:/nonexistent:/bin/false
keepalived_script:x:102:102:keepalived_script:/nonexistent:/bin/false
`;
const GROUP =
  "root:x:0:\ntty:x:5:\nnogroup:x:65534:\nhaproxy:x:99:\nnginx:x:101:\nkeepalived_script:x:102:\n";

const NGINX_CONF = `user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;

events {
    worker_connections 1024;
}

http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
`;

/** One image: the programs taken from Debian with all they link to, further files, its config. */
interface Recipe {
  /** Paths in the Debian root; `**` takes a folder as it is. */
  readonly from: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly folders?: Readonly<Record<string, number>>;
  /** Binaries of this machine: path in the image, path here. */
  readonly binaries?: Readonly<Record<string, string>>;
  readonly config: ImageConfig;
}

const BASE: Recipe = {
  from: [
    "usr/bin/busybox",
    "usr/bin/dash",
    "usr/bin/curl",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/openssl.cnf",
    "etc/mime.types",
  ],
  files: {
    "etc/passwd": PASSWD,
    "etc/group": GROUP,
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
  },
  // dash, as busybox's own shell prefers its applets to the programs of the same name.
  links: { "usr/bin/sh": "dash", bin: "usr/bin", sbin: "usr/sbin", lib: "usr/lib", lib64: "usr/lib64" },
  folders: {
    "usr/sbin": 0o755,
    "usr/lib": 0o755,
    "usr/lib64": 0o755,
    tmp: 0o1777,
    root: 0o700,
    run: 0o755,
    "var/tmp": 0o1777,
  },
  config: {},
};

const ETCD: Recipe = {
  from: ["usr/bin/etcd", "usr/bin/etcdctl", "usr/bin/etcdutl"],
  folders: { "var/lib/etcd": 0o700 },
  config: { Env: [PATH], Cmd: ["etcd"], ExposedPorts: { "2379/tcp": {}, "2380/tcp": {} } },
};

function recipes(binaries: Binaries): Readonly<Record<Exclude<ImageName, "hello">, Recipe>> {
  return {
    minio: {
      from: [],
      binaries: { "usr/bin/minio": binaries.minio, "usr/bin/mc": binaries.mc },
      config: { Env: [PATH], Entrypoint: ["minio"], ExposedPorts: { "9000/tcp": {} } },
    },
    registry: {
      from: [],
      binaries: { "usr/bin/registry": binaries.registry },
      folders: { "etc/distribution": 0o755, "var/lib/registry": 0o755 },
      config: {
        Env: [PATH, "OTEL_TRACES_EXPORTER=none"],
        Entrypoint: ["/bin/registry"],
        Cmd: ["serve", "/etc/distribution/config.yml"],
        ExposedPorts: { "5000/tcp": {} },
      },
    },
    nginx: {
      from: ["usr/sbin/nginx", "usr/lib/nginx/modules/ngx_http_js_module.so", "etc/nginx/mime.types"],
      files: { "etc/nginx/nginx.conf": NGINX_CONF },
      links: {
        "etc/nginx/modules": "/usr/lib/nginx/modules",
        "usr/share/nginx/modules": "/usr/lib/nginx/modules",
        "var/log/nginx/access.log": "/dev/stdout",
        "var/log/nginx/error.log": "/dev/stderr",
      },
      folders: {
        "etc/nginx/conf.d": 0o755,
        "var/lib/nginx": 0o755,
        "var/cache/nginx": 0o755,
        "usr/share/nginx/html": 0o755,
      },
      config: {
        Env: [PATH],
        Cmd: ["nginx", "-g", "daemon off;"],
        StopSignal: "SIGQUIT",
        ExposedPorts: { "80/tcp": {} },
      },
    },
    haproxy: {
      from: ["usr/sbin/haproxy"],
      folders: { "usr/local/etc/haproxy": 0o755, "var/lib/haproxy": 0o755 },
      config: {
        Env: [PATH],
        Cmd: ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
        User: "haproxy",
        StopSignal: "SIGUSR1",
        WorkingDir: "/var/lib/haproxy",
      },
    },
    keepalived: {
      // Debian's keepalived does not start without config-opts: mount a file into /etc/keepalived, not a folder over it.
      from: ["usr/sbin/keepalived", "usr/bin/ip", "etc/keepalived/keepalived.config-opts"],
      folders: { "etc/keepalived": 0o755 },
      config: { Env: [PATH], Cmd: ["keepalived", "--dont-fork", "--log-console"] },
    },
    etcd: ETCD,
  };
}

/** The Debian root the programs are taken from. */
export function donorRoot(): Promise<string> {
  return cached("roots", `${SUITE}-${keyOf(SUITE, ...PACKAGES)}`, (folder) =>
    debianRoot(SUITE, PACKAGES, folder),
  );
}

/** The files given and every library they link to, as paths in the root. */
async function closure(root: string, wanted: readonly string[]): Promise<readonly string[]> {
  const present = wanted.filter((file) => fs.existsSync(path.join(root, file)));
  const found = new Set(present);
  for (const file of present.filter((one) => /(^usr\/s?bin\/|\.so$)/.test(one))) {
    const listed = await run("chroot", [root, "ldd", `/${file}`]);
    for (const match of listed.stdout.matchAll(/(?:=> |^\s*)(\/\S+)/gm)) {
      const library = (match[1] ?? "").slice(1);
      found.add(library.startsWith("lib") ? `usr/${library}` : library);
    }
  }
  return [...found].sort();
}

async function writeRecipe(
  root: string,
  recipe: Recipe,
  folder: string,
  leaveOut: ReadonlySet<string>,
): Promise<readonly string[]> {
  fs.mkdirSync(folder, { recursive: true });
  const files = (await closure(root, recipe.from)).filter((file) => !leaveOut.has(file));
  if (files.length > 0)
    await must("sh", [
      "-c",
      'cd "$1" && shift && exec cp -L --parents -t "$@"',
      "cp",
      root,
      folder,
      ...files,
    ]);
  for (const [name, mode] of Object.entries(recipe.folders ?? {})) {
    fs.mkdirSync(path.join(folder, name), { recursive: true });
    fs.chmodSync(path.join(folder, name), mode);
  }
  for (const [name, content] of Object.entries(recipe.files ?? {})) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), content, { mode: 0o644 });
  }
  for (const [name, source] of Object.entries(recipe.binaries ?? {})) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.copyFileSync(source, path.join(folder, name));
    fs.chmodSync(path.join(folder, name), 0o755);
  }
  for (const [name, target] of Object.entries(recipe.links ?? {})) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.symlinkSync(target, path.join(folder, name));
  }
  return files;
}

/** The layer under all images: dash and busybox, curl, the C library, certificates. */
async function baseLayer(root: string, work: string): Promise<{ layer: Layer; files: ReadonlySet<string> }> {
  const folder = path.join(work, "base");
  const files = await writeRecipe(root, BASE, folder, new Set());
  const applets = (await must("chroot", [root, "/usr/bin/busybox", "--list"])).trim().split("\n");
  for (const applet of applets) {
    const file = path.join(folder, "usr/bin", applet);
    if (!fs.existsSync(file) && applet !== "busybox") fs.symlinkSync("busybox", file);
  }
  return { layer: await packLayer(folder, path.join(work, "base.tar")), files: new Set(files) };
}

function checkBinaries(binaries: Binaries): string {
  const parts = Object.entries(binaries).map(([name, file]: [string, string]) => {
    if (!fs.existsSync(file)) throw new LabError(`no ${name} at ${file}: build the tools first`);
    const stat = fs.statSync(file);
    return `${fs.realpathSync(file)} ${stat.size} ${stat.mtimeMs}`;
  });
  return parts.join("\n");
}

/**
 * Builds the archives of all images where they are not built yet, without a Docker engine. The same
 * content gives the same image ID, on any machine. Gives back the folder with `<name>.tar` each.
 */
export function buildImages(binaries: Binaries): Promise<string> {
  const recipe = recipes(binaries);
  const key = keyOf(checkBinaries(binaries), JSON.stringify([VERSION, SUITE, PACKAGES, BASE, recipe]));
  return cached("images", key, (work) => build(recipe, work));
}

async function build(all: ReturnType<typeof recipes>, target: string): Promise<void> {
  const root = await donorRoot();
  const work = path.join(target, "work");
  const base = await baseLayer(root, work);
  const index: Record<string, { tag: string; id: string }> = {};
  for (const [name, recipe] of Object.entries(all)) {
    const folder = path.join(work, name);
    await writeRecipe(root, recipe, folder, base.files);
    const layer = await packLayer(folder, `${folder}.tar`);
    const archive = path.join(target, `${name}.tar`);
    const { tag, id } = await writeArchive(archive, `moorage-lab/${name}:latest`, recipe.config, [
      base.layer,
      layer,
    ]);
    index[name] = { tag, id };
  }
  const hello = path.join(target, "hello.tar");
  const sizes = [1_000, 100_000, 1_000_000];
  const { tag, id } = await writeTestImage(hello, { tag: "moorage-lab/hello:latest", layerBytes: sizes });
  index.hello = { tag, id };
  fs.writeFileSync(path.join(target, "images.json"), `${JSON.stringify(index, null, 2)}\n`);
  await must("rm", ["-rf", work]);
}
