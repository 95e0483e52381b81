/** One member of etcd as its clients see it: HTTPS over an SSH channel, by its gateway to the v3 API. */
import type { Connection } from "../contract";
import { readBody, sendRequest } from "../docker/http";
import { HostError, messageOf } from "../errors";
import { brief } from "../ssh/connect";
import { couldNotAsk, openTcp } from "../ssh/pool";
import { secured } from "../ssh/tls";
import { within } from "../time";

export interface EtcdCredentials {
  readonly caCertificate: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
}

/** A member as the cluster lists it. */
export interface Listed {
  /** In hexadecimal, as etcdctl shows it. */
  readonly id: string;
  /** Empty until the member has started for the first time. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  /** Empty until the member has started for the first time. */
  readonly clientUrls: readonly string[];
}

export interface MemberStatus {
  readonly id: string;
  readonly leader: string;
  readonly version: string;
  readonly dbSize: number;
  readonly raftTerm: number;
  readonly raftIndex: number;
  readonly errors: readonly string[];
}

const CALL_SECONDS = 6;

const hex = (id: string | undefined): string => BigInt(id ?? 0).toString(16);
const decimal = (id: string): string => BigInt(`0x${id}`).toString();
const base64 = (text: string): string => Buffer.from(text).toString("base64");

interface RawMember {
  readonly ID?: string;
  readonly name?: string;
  readonly peerURLs?: string[];
  readonly clientURLs?: string[];
}

interface Members {
  readonly members?: readonly RawMember[];
}

function listedIn({ members = [] }: Members): Listed[] {
  return members.map(({ ID, name = "", peerURLs = [], clientURLs = [] }) => ({
    id: hex(ID),
    name,
    peerUrls: peerURLs,
    clientUrls: clientURLs,
  }));
}

export class EtcdClient {
  constructor(
    private readonly connection: Connection,
    private readonly clientUrl: string,
    private readonly credentials: EtcdCredentials,
    /** What its certificate is to be for. @default the URL's host */
    private readonly name = new URL(clientUrl).hostname,
  ) {}

  /** All members; only a quorum can answer. */
  async members(): Promise<Listed[]> {
    const answer = await this.call<Members>("/v3/cluster/member/list", { linearizable: true });
    return listedIn(answer);
  }

  /** Adds a member that is yet to start, and gives back all of them: with a second one the quorum is gone until then. */
  async add(peerUrl: string): Promise<Listed[]> {
    return listedIn(await this.call<Members>("/v3/cluster/member/add", { peerURLs: [peerUrl] }));
  }

  async remove(id: string): Promise<void> {
    await this.call("/v3/cluster/member/remove", { ID: decimal(id) });
  }

  async move(id: string, peerUrl: string): Promise<void> {
    await this.call("/v3/cluster/member/update", { ID: decimal(id), peerURLs: [peerUrl] });
  }

  /** Throws unless this member serves, which takes a leader and a quorum. */
  async healthy(): Promise<void> {
    const text = await this.text("GET", "/health", undefined, [200, 503]);
    const { health, reason = "" } = parsed<{ health?: string; reason?: string }>(text);
    if (health !== "true")
      throw this.error(`is not healthy${reason === "" ? "" : `: ${reason.toLowerCase()}`}`);
  }

  async status(): Promise<MemberStatus> {
    interface Raw {
      readonly header?: { readonly member_id?: string };
      readonly version?: string;
      readonly dbSize?: string;
      readonly leader?: string;
      readonly raftTerm?: string;
      readonly raftIndex?: string;
      readonly errors?: string[];
    }
    const raw = await this.call<Raw>("/v3/maintenance/status", {});
    return {
      id: hex(raw.header?.member_id),
      leader: hex(raw.leader),
      version: raw.version ?? "",
      dbSize: Number(raw.dbSize ?? 0),
      raftTerm: Number(raw.raftTerm ?? 0),
      raftIndex: Number(raw.raftIndex ?? 0),
      errors: raw.errors ?? [],
    };
  }

  /** What it counts and measures, in Prometheus' text form. */
  metrics(): Promise<string> {
    return this.text("GET", "/metrics");
  }

  async put(key: string, value: string): Promise<void> {
    await this.call("/v3/kv/put", { key: base64(key), value: base64(value) });
  }

  async get(key: string): Promise<string | undefined> {
    const { kvs = [] } = await this.call<{ kvs?: { value?: string }[] }>("/v3/kv/range", {
      key: base64(key),
    });
    return kvs[0] && Buffer.from(kvs[0].value ?? "", "base64").toString("utf8");
  }

  async delete(key: string): Promise<void> {
    await this.call("/v3/kv/deleterange", { key: base64(key) });
  }

  private async call<T>(path: string, body: object): Promise<T> {
    return parsed<T>(await this.text("POST", path, JSON.stringify(body)));
  }

  private async text(method: string, path: string, body?: string, statuses = [200]): Promise<string> {
    const url = new URL(this.clientUrl);
    const { caCertificate: ca, clientCertificate: cert, clientKey: key } = this.credentials;
    const held = await openTcp(this.connection, url.hostname, Number(url.port), brief).catch(
      (error: unknown) => {
        throw couldNotAsk(error) ? error : this.error(`does not listen on ${url.host}`);
      },
    );
    const work = async () => {
      const socket = await secured(held.channel, { ca, cert, key, name: this.name });
      const headers = { Host: url.host, Connection: "close", "Content-Type": "application/json" };
      const answer = await sendRequest(socket, { method, path, headers, body });
      return { status: answer.statusCode ?? 0, text: (await readBody(answer)).toString("utf8") };
    };
    try {
      const { status, text } = await within(CALL_SECONDS, work(), () =>
        this.error(`${path}: no answer within ${CALL_SECONDS} s`),
      );
      if (statuses.includes(status)) return text;
      const { error, message } = parsed<{ error?: string; message?: string }>(text);
      throw this.error(`${path}: ${error ?? message ?? `status ${status}`}`);
    } catch (error) {
      throw error instanceof HostError ? error : this.error(`${path}: ${messageOf(error)}`);
    } finally {
      held.channel.destroy();
      held.release();
    }
  }

  private error(text: string): HostError {
    return new HostError(this.connection.node, `etcd ${text}`);
  }
}

/** What is no JSON says nothing. */
function parsed<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    return {} as T;
  }
}
