/** The way from a registry to the store: HAProxy, one for each registry node. */
import { httpHealthTest } from "./health-test";
import { lines, startingAt, word } from "./text";

export interface S3BalancerArgs {
  /** MinIO's members by DNS name, resolved while HAProxy runs. */
  readonly backends: readonly { readonly name: string; readonly port: number }[];
  /**
   * The member on the balancer's own node. It is used while it works, another one otherwise: so a member that fails
   * takes no request of another node's registry with it.
   */
  readonly preferred?: string;
  /** For how long that one is left alone when it is back, or seen for the first time, in seconds. @default 30 */
  readonly settleSeconds?: number;
  /** @default 9000 */
  readonly listenPort?: number;
  /** Address and port of the name server. @default "127.0.0.11:53" (Docker's) */
  readonly resolver?: string;
}

/** Path on the balancer's port that says whether it runs, whatever state the store is in. */
export const balancerHealthPath = "/healthz";
/** Path that says, besides, whether a member of the store can be used. */
export const balancerStoragePath = "/healthz/storage";
/** What the store needs a quorum for. */
export const quorums = ["write", "read"] as const;
export type Quorum = (typeof quorums)[number];
/** Paths that say whether the store has that quorum. */
export const balancerQuorumPaths: Readonly<Record<Quorum, string>> = {
  write: "/healthz/writable",
  read: "/healthz/readable",
};

export function renderS3Balancer(args: S3BalancerArgs): string {
  return [
    globals(),
    defaults(),
    resolvers(args),
    frontend(args),
    backend(args),
    ...(args.preferred === undefined ? [] : [settling(args.preferred, args.settleSeconds)]),
    unchecked(args),
    ...quorums.map((quorum) => quorumBackend(quorum, args)),
  ].join("\n");
}

/** Docker's look at a balancer, which works without a store, too. */
export function balancerHealthTest(port: number): string[] {
  return httpHealthTest({ port, path: balancerHealthPath, statuses: [200] });
}

function globals(): string {
  return lines(
    "global",
    "    log stdout format raw local0 notice",
    "    maxconn 4096",
    "    hard-stop-after 30s",
  );
}

/** Uploads and downloads flow through unbuffered; the long timeouts are for a store that is busy, not for one that is gone. */
function defaults(): string {
  return lines(
    "defaults",
    "    mode http",
    "    log global",
    "    option httplog",
    "    option dontlog-normal",
    "    option http-keep-alive",
    "    http-reuse safe",
    "    timeout http-request 30s",
    "    timeout http-keep-alive 75s",
    "    timeout client 900s",
    "    timeout server 900s",
    "    # A connection that was not taken by then is tried elsewhere: a lost packet is sent again after a second only.",
    "    timeout connect 400ms",
    "    timeout queue 5s",
    "    timeout check 1s",
    "    retries 1",
    "    option redispatch 1",
    "    retry-on conn-failure empty-response 404 503",
    "    option srvtcpka",
    "    srvtcpka-idle 5s",
    "    srvtcpka-intvl 1s",
    "    srvtcpka-cnt 3",
  );
}

/** An address that was good is kept while the name server is silent: what counts then is the health check. */
function resolvers(args: S3BalancerArgs): string {
  return lines(
    "resolvers docker",
    `    nameserver docker ${word(args.resolver ?? "127.0.0.11:53", "resolver")}`,
    "    accepted_payload_size 8192",
    "    resolve_retries 2",
    "    timeout resolve 1s",
    "    timeout retry 1s",
    "    hold valid 1s",
    "    hold nx 1s",
    "    hold obsolete 1s",
    "    hold timeout 60s",
    "    hold refused 60s",
    "    hold other 60s",
  );
}

function frontend(args: S3BalancerArgs): string {
  return lines(
    "frontend s3",
    `    bind :${args.listenPort ?? 9000}`,
    `    http-request return status 200 content-type text/plain string ok if { path ${balancerHealthPath} }`,
    "    acl no-member nbsrv(minio) eq 0",
    `    http-request return status 503 content-type text/plain string "no member" if { path ${balancerStoragePath} } no-member`,
    `    http-request return status 200 content-type text/plain string ok if { path ${balancerStoragePath} }`,
    ...quorums.flatMap((quorum) => quorumAnswers(quorum, args)),
    "    # The end of a multipart upload is a POST, and the one request that does not mean the same twice.",
    "    http-request disable-l7-retry if METH_POST",
    "    use_backend minio-unchecked if no-member",
    "    default_backend minio",
  );
}

/**
 * Whoever reaches no member knows nothing of their quorum, and says 504. What a member said counts as long as it can be used: one that
 * hangs takes several times as long to be missed by its word about the quorum.
 */
function quorumAnswers(quorum: Quorum, { backends }: S3BalancerArgs): string[] {
  const answer = (status: number, text: string, when = ""): string =>
    `    http-request return status ${status} content-type text/plain string ${text} if { path ${balancerQuorumPaths[quorum]} }${when}`;
  return [
    answer(504, '"no member"', " no-member"),
    ...backends.map(({ name }) =>
      answer(200, "ok", ` { srv_is_up(minio/${name}) } { srv_is_up(${quorum}-quorum/${name}) }`),
    ),
    answer(503, `"no ${quorum} quorum"`),
  ];
}

/**
 * `/minio/health/live` answers for the member alone. The cluster's own checks ask every drive first, so with one node
 * off they can be slow on all members at once, and without a write quorum they would end reads that still work. A
 * member that has not found its cluster yet answers "alive" with a header that says offline.
 *
 * One that was started or cut off is alive as well, and may not reach the others for half a minute more by what it reads
 * with. Of what its own drive has missed it then says 404, as one other drive that has it counts for nothing
 * (`pickLatestQuorumFilesInfo` in MinIO's `cmd/erasure-object.go`). So whatever is not there is asked for once more,
 * elsewhere.
 */
function backend(args: S3BalancerArgs): string {
  const first = args.backends.findIndex(({ name }) => name === args.preferred);
  const ordered = startingAt(args.backends, Math.max(first, 0));
  return lines(
    "backend minio",
    first >= 0 && "    # The first that works, and the one after it for what is asked for once more.",
    `    balance ${first >= 0 ? "first" : "leastconn"}`,
    ...(first >= 0 ? others(ordered) : []),
    "    option httpchk",
    "    http-check send meth GET uri /minio/health/live ver HTTP/1.1 hdr Host minio",
    "    http-check expect status 200",
    '    http-check expect ! hdr name "x-minio-server-status"',
    "    default-server init-addr none resolvers docker resolve-prefer ipv4 check inter 1s fastinter 300ms downinter 1s fall 2 rise 1 observe layer4 error-limit 1 on-error fastinter on-marked-down shutdown-sessions",
    ...ordered.map(server),
  );
}

const settlingName = "settling";
const settledWeight = 100;

/** Before the balance has its say: the first of the others that works, as long as the member beside is not settled. */
function others([beside, ...rest]: S3BalancerArgs["backends"]): string[] {
  return [
    "    # Another one as long as the first has not been up for a while.",
    `    acl settled srv_weight(${settlingName}/${beside?.name}) ge ${settledWeight}`,
    ...rest.map(({ name }) => `    use-server ${name} unless settled`),
  ];
}

/**
 * Takes no request: the weight of its only server says whether the member beside has been up for long enough. One that is back
 * looks for the drives that it could not reach each 15 s (`monitorAndConnectEndpoints` in MinIO's `cmd/erasure-sets.go`), and
 * until then may end an upload with fewer drives than that takes, while all others have them.
 */
function settling(beside: string, seconds = 30): string {
  return lines(
    `backend ${settlingName}`,
    "    balance roundrobin",
    `    server ${beside} 127.0.0.1:1 track minio/${beside} weight ${settledWeight} slowstart ${seconds}s`,
  );
}

/**
 * Takes over when checks fail on every member at once, which may be a node too busy to check in time: to try them costs
 * little, and a request refused unasked is lost.
 */
function unchecked(args: S3BalancerArgs): string {
  return lines(
    "backend minio-unchecked",
    "    balance roundrobin",
    "    # Members that are silent are soon given up: the registry in front has its own ways of being slow.",
    "    timeout connect 300ms",
    "    retries 1",
    "    default-server init-addr none resolvers docker resolve-prefer ipv4",
    ...args.backends.map(server),
  );
}

interface QuorumCheck {
  readonly uri: string;
  /** How often each member is asked. */
  readonly every: string;
  /** How soon one is asked again that has refused. */
  readonly again: string;
}

/**
 * A pull that is refused in vain has failed; one that is refused late has only waited. Between the two refusals that
 * count there is time for members to find each other again. An answer costs MinIO a question to every drive.
 */
const quorumChecks: Readonly<Record<Quorum, QuorumCheck>> = {
  write: { uri: "/minio/health/cluster", every: "2s", again: "500ms" },
  read: { uri: "/minio/health/cluster/read", every: "6s", again: "2s" },
};

/**
 * Takes no request: its checks alone are wanted. One member that counts a quorum is enough, and it takes two
 * refusals to count as one that does not. A member waits up to 10 s for the drives of a node that is silent.
 */
function quorumBackend(quorum: Quorum, args: S3BalancerArgs): string {
  const { uri, every, again } = quorumChecks[quorum];
  return lines(
    `backend ${quorum}-quorum`,
    "    timeout check 12s",
    "    option httpchk",
    `    http-check send meth GET uri ${uri} ver HTTP/1.1 hdr Host minio`,
    "    http-check expect status 200",
    `    default-server init-addr none resolvers docker resolve-prefer ipv4 check inter ${every} fastinter ${again} downinter 1s fall 2 rise 1`,
    ...args.backends.map(server),
  );
}

function server({ name, port }: S3BalancerArgs["backends"][number]): string {
  return `    server ${name} ${word(name, "MinIO's name")}:${port}`;
}
