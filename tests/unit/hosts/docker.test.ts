import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { imageIdOfArchive } from "../../../hosts/src/archive";
import { DOCKER_SOCKET, dockerApi } from "../../../hosts/src/docker/api";
import { execInContainer } from "../../../hosts/src/docker/exec";
import { DockerError, PartialFailure } from "../../../hosts/src/errors";
import { load, loadedImages } from "../../../hosts/src/loaded-images";
import { Stall, type Every } from "../../../hosts/src/stall";
import { until } from "../../support/waiting";
import { frame, startDocker } from "./support/fake-docker";
import { startServer, temporaryFolder } from "./support/stop";

async function engine() {
  const docker = await startDocker();
  const server = await startServer({ sockets: { [DOCKER_SOCKET]: docker.path } });
  return { docker, server, connection: server.connection() };
}

describe("Docker's API", () => {
  it("is asked over the shared connection, without any command", async () => {
    const { docker, server, connection } = await engine();
    docker.on("GET", /^\/nodes$/, ({ query }) => ({ json: { asked: query.get("filters") } }));
    docker.on("POST", /^\/swarm\/join$/, ({ body }) => ({ json: JSON.parse(body) }));
    const api = dockerApi(connection);
    expect(await api.get("/nodes", { query: { filters: { label: ["a=b c"] } } })).toEqual({
      asked: '{"label":["a=b c"]}',
    });
    expect(await api.post("/swarm/join", { json: { JoinToken: "SWMTKN-1" } })).toEqual({
      JoinToken: "SWMTKN-1",
    });
    await Promise.all(Array.from({ length: 60 }, () => api.get("/nodes")));
    expect(server.connections).toBe(1);
    expect(server.commands).toEqual([]);
  });

  it("reports a refusal in Docker's own words", async () => {
    const { docker, connection } = await engine();
    docker.on("DELETE", /^\/secrets\/1$/, () => ({ status: 400, json: { message: "secret is in use" } }));
    const failure = await dockerApi(connection)
      .delete("/secrets/1", { purpose: "sweeping" })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(DockerError);
    expect(failure).toMatchObject({
      status: 400,
      reason: "secret is in use",
      message: "swarm-1: Docker, sweeping: secret is in use (400)",
    });
  });

  it("gives up on an engine that is frozen", async () => {
    const { docker, connection } = await engine();
    docker.frozen = true;
    await expect(dockerApi(connection).get("/info", { timeoutSeconds: 0.5 })).rejects.toThrow(
      /no answer within 0.5 s; see `systemctl status docker`/,
    );
  });

  it("says that nothing serves the socket", async () => {
    const server = await startServer();
    await expect(dockerApi(server.connection()).get("/info")).rejects.toThrow(
      /nothing serves \/var\/run\/docker\.sock for core, .*Start it .*group docker/,
    );
  });
});

describe("a command in a container", () => {
  it("gets its input, and gives both outputs and its exit code", async () => {
    const { docker, connection } = await engine();
    docker.on("POST", /^\/containers\/c1\/exec$/, () => ({ status: 201, json: { Id: "e1" } }));
    docker.on("GET", /^\/exec\/e1\/json$/, () => ({ json: { ExitCode: 0 } }));
    docker.onUpgrade = (_seen, socket) => {
      let input = "";
      socket.on("data", (chunk: Buffer) => (input += chunk.toString()));
      const output = () =>
        Buffer.concat([frame(1, `got ${input.slice(-6)} `), frame(2, "careful"), frame(1, "é")]);
      socket.on("end", () => {
        // A frame may come in pieces.
        for (const byte of output()) socket.write(Buffer.from([byte]));
        socket.end();
      });
    };
    const result = await execInContainer(connection, {
      container: "c1",
      argv: ["mc", "admin"],
      env: { MC_HOST_local: "http://u:p@h" },
      stdin: "secret",
      purpose: "trying",
    });
    expect(result).toEqual({ stdout: "got secret é", stderr: "careful", code: 0 });
    const [create] = docker.calls("POST", /exec$/);
    expect(JSON.parse(create?.body ?? "")).toMatchObject({
      Cmd: ["mc", "admin"],
      Env: ["MC_HOST_local=http://u:p@h"],
      AttachStdin: true,
    });
  });

  it("fails by its exit code, without secrets", async () => {
    const { docker, connection } = await engine();
    docker.on("POST", /^\/containers\/c1\/exec$/, () => ({ status: 201, json: { Id: "e1" } }));
    docker.on("GET", /^\/exec\/e1\/json$/, () => ({ json: { ExitCode: 1 } }));
    docker.onUpgrade = (_seen, socket) => socket.end(frame(2, "bad password hunter2000"));
    const command = { container: "c1", argv: ["x"], purpose: "logging in", secrets: ["hunter2000"] };
    await expect(execInContainer(connection, command)).rejects.toThrow(
      "swarm-1: logging in failed with exit code 1: bad password [secret]",
    );
  });
});

/** A plain tar archive, as `docker save` writes it. */
function tar(entries: Record<string, Buffer>): Buffer {
  const blocks = Object.entries(entries).flatMap(([name, content]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write(`${content.length.toString(8).padStart(11, "0")} `, 124);
    header.write("ustar", 257);
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function archive(config: string, images = 1): string {
  const path = join(temporaryFolder(), "image.tar");
  const manifest = Buffer.from(
    JSON.stringify(Array.from({ length: images }, () => ({ Config: config, Layers: [] }))),
  );
  writeFileSync(path, tar({ "layer.tar": Buffer.alloc(70_000, 1), "manifest.json": manifest }));
  return path;
}

const ID = "ab".repeat(32);

describe("an image archive", () => {
  it("tells its image's id, in both layouts", () => {
    expect(imageIdOfArchive(archive(`${ID}.json`))).toBe(`sha256:${ID}`);
    expect(imageIdOfArchive(archive(`blobs/sha256/${ID}`))).toBe(`sha256:${ID}`);
  });

  it("is refused when it is compressed, is no archive of images, or holds several", () => {
    const file = join(temporaryFolder(), "x.tar");
    writeFileSync(file, Buffer.from([0x1f, 0x8b, ...new Array<number>(600).fill(3)]));
    expect(() => imageIdOfArchive(file)).toThrow(/no plain tar archive/);
    writeFileSync(file, tar({ "a.txt": Buffer.from("a") }));
    expect(() => imageIdOfArchive(file)).toThrow(/no manifest.json.*docker save/);
    expect(() => imageIdOfArchive(archive(`${ID}.json`, 2))).toThrow(/holds 2 images/);
  });
});

/** Time for a transfer that is watched: it passes when the test says so. */
class Ticks {
  isEnded = false;
  private tick = { seconds: 0, work: (): void => undefined };
  readonly every: Every = (seconds, work) => {
    this.tick = { seconds, work };
    return () => (this.isEnded = true);
  };
  pass(seconds: number): void {
    const { tick } = this;
    for (let passed = 0; passed < seconds && !this.isEnded; passed += tick.seconds) tick.work();
  }
}

describe("a transfer that stalls", () => {
  function transfer() {
    const time = new Ticks();
    const file = { bytesRead: 1, readableEnded: false };
    const stall = new Stall("swarm-1", "loading x", file, "see there", time.every);
    return { time, file, stall, end: stall.within(new Promise<never>(() => undefined)).catch(String) };
  }

  it("ends if nothing of the file is read for two minutes", async () => {
    const { time, file, stall, end } = transfer();
    time.pass(120);
    file.bytesRead += 1;
    time.pass(120);
    expect([time.isEnded, stall.signal.aborted]).toEqual([false, false]);
    time.pass(5);
    expect([time.isEnded, stall.signal.aborted]).toEqual([true, true]);
    expect(await end).toContain("swarm-1: loading x: nothing was taken for 120 s; see there");
  });

  it("ends if nothing is heard for five minutes after that", async () => {
    const { time, file, stall, end } = transfer();
    time.pass(5);
    file.readableEnded = true;
    for (let heard = 0; heard < 3; heard += 1) {
      time.pass(295);
      stall.heard();
    }
    time.pass(295);
    expect(time.isEnded).toBe(false);
    time.pass(5);
    expect(await end).toContain("loading x: it was taken, and then nothing was heard for 300 s; see there");
  });
});

describe("loading images", () => {
  const imageId = `sha256:${ID}`;

  it("loads what is missing and leaves what is there", async () => {
    const { docker, connection } = await engine();
    let there = false;
    docker.on("GET", /^\/images\/.*\/json$/, () => (there ? { json: {} } : undefined));
    docker.on("POST", /^\/images\/load$/, () => {
      there = true;
      return { json: { stream: "Loaded image\n" } };
    });
    const inputs = { connection, images: { web: { archive: archive(`${ID}.json`), imageId } } };
    expect((await loadedImages.read("", inputs))?.outs.images).toEqual({});
    const { id, outs } = await loadedImages.create(inputs);
    expect(id).toBe("swarm-1/images");
    await loadedImages.create(inputs);
    expect(docker.calls("POST", /load/)).toHaveLength(1);
    expect((await loadedImages.read(id, outs))?.outs).toEqual(outs);
  });

  it("fails when the archive holds another image, and records the attempt", async () => {
    const { docker, connection } = await engine();
    docker.on("POST", /^\/images\/load$/, () => ({ json: { stream: "Loaded image ID: sha256:other\n" } }));
    const inputs = { connection, images: { web: { archive: archive(`${ID}.json`), imageId } } };
    const failure = await loadedImages.create(inputs).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PartialFailure);
    expect((failure as Error).message).toContain(
      `there is no image ${imageId} now; Docker says: Loaded image ID: sha256:other`,
    );
  });

  it("passes on what Docker says of a full disk, and names an archive that is not there", async () => {
    const { docker, connection } = await engine();
    docker.on("POST", /^\/images\/load$/, () => ({ json: { error: "no space left on device" } }));
    const full = { connection, images: { web: { archive: archive(`${ID}.json`), imageId } } };
    await expect(loadedImages.create(full)).rejects.toThrow(
      /swarm-1: loading .*image\.tar: no space left on device\nThe disk is full: /,
    );
    const missing = { connection, images: { web: { archive: "/no/such.tar", imageId } } };
    await expect(loadedImages.create(missing)).rejects.toThrow(
      /image archive \/no\/such\.tar cannot be read/,
    );
  });

  it("waits while Docker reports progress, and fails and closes the connection if it hangs", async () => {
    const heard = vi.spyOn(Stall.prototype, "heard");
    let report: (text: string) => void = () => undefined;
    const { docker, connection } = await engine();
    docker.on("POST", /^\/images\/load$/, () => ({ hang: "{}\n", onward: (write) => (report = write) }));
    const time = new Ticks();
    const loaded = load(connection, { archive: archive(`${ID}.json`), imageId }, time.every).catch(String);
    for (const layer of [1, 2, 3]) {
      // The engine answers once it has the whole archive.
      await until("Docker's word", () => expect(heard).toHaveBeenCalledTimes(layer), { everyMs: 10 });
      time.pass(200);
      expect(time.isEnded).toBe(false);
      if (layer < 3) report(`{"status":"Loading layer","id":"${layer}"}\n`);
    }
    heard.mockRestore();
    time.pass(100);
    expect(await loaded).toContain(
      "image.tar: it was taken, and then nothing was heard for 300 s; see `systemctl status docker` and `journalctl -u docker` there",
    );
    await until("the connection's end", () => expect(docker.open).toBe(0), { everyMs: 10 });
  });

  it("removes what left, except what is in use", async () => {
    const { docker, connection } = await engine();
    docker.on("GET", /^\/images\/.*\/json$/, () => ({ json: {} }));
    docker.on("DELETE", /^\/images\/sha256:free$/, () => ({ json: [] }));
    const image = { archive: "/unused", imageId };
    const state = {
      connection,
      images: {
        web: image,
        old: { archive: "/x", imageId: "sha256:free" },
        gone: { archive: "/x", imageId: "sha256:gone" },
      },
    };
    await loadedImages.update("", state, { connection, images: { web: image } });
    expect(docker.calls("DELETE", /./).map(({ path }) => path)).toEqual([
      "/images/sha256:free",
      "/images/sha256:gone",
    ]);
  });
});
