import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { HostKeyError, LoginError, UnreachableError } from "../../../hosts/src/errors";
import { exec, runScript, withHost } from "../../../hosts/src/ssh";
import { fingerprint, parsePublicKey } from "../../../hosts/src/ssh/keys";
import { until } from "../../support/waiting";
import { keyPair } from "./support/ssh-server";
import { startServer, temporaryFolder } from "./support/stop";

/** How something fails. */
const failed = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => expect.fail("it did not fail"),
    (error: Error) => error,
  );

const once = { attempts: 1, timeoutSeconds: 20, pauseSeconds: 0 };

describe("host keys", () => {
  it("refuses an unknown host at once, and says what to put into the configuration", async () => {
    const server = await startServer();
    const failure = await failed(exec(server.connection({ hostKey: undefined }), ["true"]));
    expect(failure).toBeInstanceOf(HostKeyError);
    const [type, data] = server.hostKey.public.split(" ");
    const shown = fingerprint(parsePublicKey("swarm-1", server.hostKey.public));
    expect(failure.message).toContain("swarm-1: the host key of 127.0.0.1:");
    expect(failure.message).toContain(`Found: ${shown}`);
    expect(failure.message).toContain(`hostKey: ${type} ${data}`);
    expect(server.connections).toBe(1);
    expect(server.logins).toBe(0);
  });

  it("refuses a changed key at once, with both fingerprints", async () => {
    const server = await startServer();
    const other = keyPair().public;
    const failure = await failed(exec(server.connection({ hostKey: other }), ["true"]));
    expect(failure).toBeInstanceOf(HostKeyError);
    expect(failure.message).toContain(`Found: ${fingerprint(parsePublicKey("", server.hostKey.public))}`);
    expect(failure.message).toContain(`wanted: ${fingerprint(parsePublicKey("", other))}`);
    expect(server.connections).toBe(1);
    expect(server.logins).toBe(0);
  });

  it("says what is wrong with a key that is none", async () => {
    const server = await startServer();
    await expect(exec(server.connection({ hostKey: "nonsense" }), ["true"])).rejects.toThrow(
      /not of the form/,
    );
  });
});

describe("login", () => {
  it("names user, host and node when the key is refused, without another attempt", async () => {
    const server = await startServer();
    const other = keyPair();
    const connection = server.connection({ privateKey: other.private });
    const failure = await failed(exec(connection, ["true"]));
    expect(failure).toBeInstanceOf(LoginError);
    expect(failure.message).toMatch(/^swarm-1: 127\.0\.0\.1:\d+ refuses the login as core/);
    expect(failure.message).toContain(
      `Its public key (${other.public}) must be in ~core/.ssh/authorized_keys`,
    );
    expect(server.connections).toBe(1);
  });

  it("refuses a private key that is none, and an identity file that is not there", async () => {
    const server = await startServer();
    await expect(exec(server.connection({ privateKey: "secret?" }), ["true"])).rejects.toThrow(
      /not a private key/,
    );
    const missing = server.connection({ privateKey: undefined, identityFile: "/no/such/key" });
    await expect(exec(missing, ["true"])).rejects.toThrow(/identityFile \/no\/such\/key cannot be read/);
  });

  it("says that there is no key at all", async () => {
    vi.stubEnv("SSH_AUTH_SOCK", "");
    const server = await startServer();
    await expect(exec(server.connection({ privateKey: undefined }), ["true"])).rejects.toThrow(
      /no key to log in with/,
    );
    vi.unstubAllEnvs();
  });
});

describe("hosts that do not answer", () => {
  it("gives up on a host that hangs, within its time limit", async () => {
    const server = await startServer({ mute: true });
    const patience = { ...once, timeoutSeconds: 0.5 };
    const failure = await failed(exec(server.connection(), ["true"], { patience }));
    expect(failure).toBeInstanceOf(UnreachableError);
    expect(failure.message).toMatch(/no answer within 0\.5 s/);
  });

  it("tries again, and gets there", async () => {
    const server = await startServer({ refuseFirst: 2 });
    const patience = { attempts: 4, timeoutSeconds: 5, pauseSeconds: 0.05 };
    const { stdout } = await exec(server.connection(), ["echo", "here"], { patience });
    expect(stdout).toBe("here\n");
    expect(server.connections).toBe(3);
  });

  it("says how often it tried and the last error", async () => {
    const server = await startServer({ refuseFirst: 99 });
    const patience = { attempts: 3, timeoutSeconds: 5, pauseSeconds: 0.01 };
    await expect(exec(server.connection(), ["true"], { patience })).rejects.toThrow(
      /^swarm-1: no SSH connection to core@127\.0\.0\.1:\d+ after 3 attempts: the connection was closed before SSH began .*\nSwitch it on, /,
    );
    expect(server.connections).toBe(3);
  });

  it("does not ask a host again that has just been found dead, when asked briefly", async () => {
    const server = await startServer({ refuseFirst: 1 });
    const briefly = () => exec(server.connection(), ["true"], { patience: once });
    await expect(briefly()).rejects.toThrow(/no SSH connection/);
    await expect(briefly()).rejects.toThrow(/no SSH connection/);
    expect(server.connections).toBe(1);
    await exec(server.connection(), ["true"]);
    expect(server.connections).toBe(2);
  });

  it("ends a command that takes too long", async () => {
    const server = await startServer();
    await expect(exec(server.connection(), ["sleep", "600"], { timeoutSeconds: 0.512345 })).rejects.toThrow(
      /no end after 0\.5 s/,
    );
  });

  it("fails a command whose connection is cut", async () => {
    const server = await startServer();
    const lost = expect(exec(server.connection(), ["sleep", "600"])).rejects.toThrow(
      /connection was lost during: sleep 600/,
    );
    await until("the command", () => expect(server.commands).toHaveLength(1));
    server.cut();
    await lost;
  });
});

describe("one connection", () => {
  it("serves many operations at once, with no more channels than sshd allows", async () => {
    const server = await startServer();
    const connection = server.connection();
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, i) => exec({ ...connection }, ["sh", "-c", `sleep 0.05; echo ${i}`])),
    );
    expect(results.map((result) => result.stdout)).toEqual(Array.from({ length: 30 }, (_, i) => `${i}\n`));
    expect(server.connections).toBe(1);
    expect(server.mostOpen).toBeLessThanOrEqual(8);
    expect(server.mostOpen).toBeGreaterThan(1);
  });

  it("is replaced when it was lost between two commands", async () => {
    const server = await startServer();
    await exec(server.connection(), ["true"]);
    server.cut();
    await exec(server.connection(), ["true"]);
    expect(server.connections).toBe(2);
  });

  it("is opened by withHost and counted in this process's statistics", async () => {
    const folder = join(temporaryFolder(), "stats");
    vi.stubEnv("MOORAGE_SSH_STATS", folder);
    const server = await startServer({ node: "counted" });
    await withHost(server.connection(), (connection) => exec(connection, ["true"]));
    vi.unstubAllEnvs();
    const text = readFileSync(join(folder, `${process.pid}.json`), "utf8");
    expect(text).toMatch(/^\{.*\}\n$/);
    expect((JSON.parse(text) as { byNode: Record<string, number> }).byNode["counted"]).toBe(1);
  });
});

describe("commands", () => {
  it("fail by their exit code, with node, purpose, the last lines of stderr and advice, without secrets", async () => {
    const server = await startServer();
    const script = "echo noise; echo 'the hunter2000 is bad' >&2; exit 7";
    const options = { purpose: "asking for trouble", advice: "Do not.", secrets: ["hunter2000"] };
    const { message } = await failed(runScript(server.connection(), script, [], options));
    expect(message).toBe(
      "swarm-1: asking for trouble failed with exit code 7:\nthe [secret] is bad\nDo not.",
    );
  });

  it("say what to do about a full disk", async () => {
    const server = await startServer();
    const full = "echo 'base64: write error: No space left on device' >&2; exit 1";
    await expect(exec(server.connection(), ["sh", "-c", full], { purpose: "placing files" })).rejects.toThrow(
      /placing files failed .*No space left on device\nThe disk is full: .* run again/s,
    );
  });

  it("do not fail by text on stderr", async () => {
    const server = await startServer();
    const { stderr } = await exec(server.connection(), ["sh", "-c", "echo error >&2"]);
    expect(stderr).toBe("error\n");
  });

  it("take their input from stdin, of any size, and keep it off the command line", async () => {
    const server = await startServer();
    const secret = "s".repeat(3_000_000);
    const { stdout } = await exec(server.connection(), ["wc", "-c"], { stdin: secret });
    expect(stdout.trim()).toBe("3000000");
    expect(server.commands).toEqual(["wc -c"]);
  });

  it("take a stream as their input, and fail when it cannot be read to its end", async () => {
    const server = await startServer();
    const chunks = Array.from({ length: 40 }, () => Buffer.alloc(64 * 1024, "x"));
    const counted = await exec(server.connection(), ["wc", "-c"], { stdin: Readable.from(chunks) });
    expect(counted.stdout.trim()).toBe(String(40 * 64 * 1024));
    const gone = createReadStream("/none/there");
    await expect(exec(server.connection(), ["cat"], { stdin: gone, purpose: "sending it" })).rejects.toThrow(
      /^swarm-1: sending it: ENOENT/,
    );
    // A command that ends early takes no more of it.
    const endless = new Readable({ read: () => void endless.push(Buffer.alloc(1024)) });
    expect((await exec(server.connection(), ["head", "-c", "1"], { stdin: endless })).code).toBe(0);
    await until("its end", () => expect(endless.destroyed).toBe(true));
  });

  it("use sudo without a prompt, and none as root", async () => {
    const server = await startServer();
    await exec(server.connection(), ["id", "-u"], { sudo: true, accept: [0, 1, 127] });
    await exec(server.connection({ user: "root" }), ["id", "-u"], { sudo: true });
    expect(server.commands).toEqual(["sudo -n -- id -u", "id -u"]);
  });

  it("of a script never eat the script", async () => {
    const server = await startServer();
    const { stdout } = await runScript(server.connection(), 'cat\necho "$1 after"', ["it's"]);
    expect(stdout).toBe("it's after\n");
  });
});
