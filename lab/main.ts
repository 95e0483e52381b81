import { spawn } from "node:child_process";
import { ToolError } from "../toolchain";
import { LabError } from "./exec";
import { faultList } from "./faults";
import { faultWork } from "./faults/command";
import { hostState, isOn } from "./hosts";
import {
  claimInstance,
  existingInstance,
  findInstance,
  hostNamed,
  platformNamed,
  type Platform,
} from "./instance";
import { clean, info, off, on, reboot, reinstall, up } from "./lab";
import { openCommand } from "./ssh";

const USAGE = `usage: npm run -s lab -- COMMAND
  up [--platform virtualbox|metal|existing]   make the hosts, or whatever of them is missing
  status                           what each host is
  off HOST | on HOST               cut a host's power, give it back
  reboot HOST                      cut a host's power and give it back
  reinstall HOST                   empty its system disk and boot the live installer; data stays
  faults                           list what can be done to a host
  fault HOST FAULT [WHAT]          do it
  mend HOST FAULT                  take it back
  ssh HOST [COMMAND …]             open a host, or run a command on it
  info --json                      ports, addresses, key paths, disks
  clean                            take the lab away without a trace`;

function say(line: string): void {
  console.log(line);
}

function platformFrom(args: readonly string[]): Platform | undefined {
  const given = args.find((arg) => arg.startsWith("--platform="))?.slice("--platform=".length);
  const at = args.indexOf("--platform");
  const option = given ?? (at >= 0 ? args[at + 1] : undefined);
  return (
    platformNamed(option, "--platform") ??
    platformNamed(process.env.MOORAGE_LAB_PLATFORM, "MOORAGE_LAB_PLATFORM")
  );
}

function status(): void {
  const instance = existingInstance();
  const states = instance.hosts.map((host) => ({ host, state: hostState(host) }));
  const rows = states.map(({ host, state }) => {
    return [host.name, state.replace(/:.*/s, ""), host.address, `127.0.0.1:${host.sshPort}`];
  });
  const table = [["HOST", "STATE", "ADDRESS", "SSH"], ...rows];
  const width = (column: number): number => Math.max(...table.map((row) => row[column]?.length ?? 0));
  for (const row of table)
    say(
      row
        .map((cell, column) => cell.padEnd(width(column)))
        .join("  ")
        .trimEnd(),
    );
  for (const { host, state } of states) if (state.startsWith("failed")) say(`${host.name} ${state}`);
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const start = Date.now();
  const result = await work();
  say(
    `${what}${typeof result === "string" ? `: ${result}` : ""} (${((Date.now() - start) / 1000).toFixed(1)} s)`,
  );
}

async function commandUp(args: readonly string[]): Promise<void> {
  const start = Date.now();
  const platform = platformFrom(args);
  const { instance, started } = await up({ platform, say });
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  const running = instance.hosts.filter(isOn).length;
  say(
    `lab ${instance.number}: ${running} hosts ${started > 0 ? "up" : "are up already, nothing changed"} (${seconds} s)`,
  );
}

async function commandSsh(args: readonly string[]): Promise<number> {
  const instance = existingInstance();
  const { argv, note } = await openCommand(instance, hostNamed(instance, args[0]), args.slice(1));
  if (note) console.error(note);
  const [program = "ssh", ...rest] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, { stdio: "inherit" });
    child.once("error", (error) => reject(new LabError(`cannot run ${program}: ${error.message}`)));
    child.once("close", (code) => resolve(code ?? 1));
  });
}

async function commandClean(): Promise<void> {
  const instance = findInstance();
  if (!instance) return say("there is no lab of this checkout: nothing to clean");
  await timed(`lab ${instance.number} is gone`, () => clean(instance));
}

async function dispatch(command: string | undefined, args: readonly string[]): Promise<number> {
  switch (command) {
    case "up":
      await commandUp(args);
      return 0;
    case "status":
      status();
      return 0;
    case "on":
    case "off":
    case "reboot":
    case "reinstall": {
      const instance = existingInstance();
      const host = hostNamed(instance, args[0]);
      const action = { on, off, reboot, reinstall }[command];
      const done = { on: "is on", off: "is off", reboot: "rebooted", reinstall: "is to be installed" }[
        command
      ];
      await timed(`${host.name} ${done}`, () => action(instance, host));
      return 0;
    }
    case "faults":
      faultList().forEach(say);
      return 0;
    case "fault":
    case "mend": {
      const { done, work } = faultWork(command, existingInstance(), args);
      await timed(done, work);
      return 0;
    }
    case "ssh":
      return commandSsh(args);
    case "info":
      say(JSON.stringify(info(await claimInstance()), null, 2));
      return 0;
    case "clean":
      await commandClean();
      return 0;
    default:
      console.error(USAGE);
      return command === undefined || command === "help" || command === "--help" ? 0 : 2;
  }
}

process.umask(0o022);
// A reader that went away (`| head`) is no error.
process.stdout.on("error", () => process.exit(0));
dispatch(process.argv[2], process.argv.slice(3)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    console.error(error instanceof ToolError ? `lab: ${message}` : `lab: unexpected: ${message}`);
    process.exitCode = 1;
  },
);
