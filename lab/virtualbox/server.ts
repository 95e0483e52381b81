/**
 * The hypervisor of the lab: an SSH server on 127.0.0.1 whose commands run on this machine, with the stand-in for
 * VBoxManage on their PATH, and the service behind that. Started by hypervisor.ts: `server.ts FOLDER LAB PORT`.
 */
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { Server, utils, type Connection } from "ssh2";
import { vboxManage } from "./command";
import { labGuests } from "./labGuests";
import { serveVBoxManage } from "./service";
import { Home } from "./state";

const [folder = "", lab = "", port = ""] = process.argv.slice(2);
const file = (name: string): string => path.join(folder, name);

const authorized = parsed(file("authorized_key.pub"));

function parsed(name: string) {
  const key = utils.parseKey(fs.readFileSync(name));
  if (key instanceof Error) throw key;
  return key;
}

function serve(client: Connection): void {
  client.on("error", () => undefined);
  client.on("authentication", (context) => {
    if (context.method !== "publickey" || !context.key.data.equals(authorized.getPublicSSH()))
      return context.reject(["publickey"]);
    const { signature, blob, hashAlgo } = context;
    if (signature && blob && authorized.verify(blob, signature, hashAlgo) !== true)
      return context.reject(["publickey"]);
    context.accept();
  });
  client.on("session", (accept) => {
    accept().on("exec", (acceptExec, _reject, { command }) => {
      const channel = acceptExec();
      const env = { ...process.env, PATH: `${file("bin")}:${process.env.PATH ?? ""}`, HOME: folder };
      const child = spawn("sh", ["-c", command], { cwd: folder, env });
      channel.pipe(child.stdin);
      child.stdin.on("error", () => undefined);
      child.stdout.pipe(channel, { end: false });
      child.stderr.pipe(channel.stderr, { end: false });
      child.on("close", (code) => {
        channel.exit(code ?? 128);
        channel.end();
      });
    });
  });
}

const home = new Home(folder);
const guests = labGuests(Number(lab));
serveVBoxManage(folder, (args) => vboxManage(home, guests, args));
new Server({ hostKeys: [fs.readFileSync(file("host_key"))] }, serve).listen(Number(port), "127.0.0.1");
