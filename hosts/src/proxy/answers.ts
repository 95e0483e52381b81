/**
 * Docker's API by way of a manager that works. For the provider, a secret, config or network whose reading fails is
 * gone, whatever the failure: so what only reads is asked again, of another manager where need be, and what no manager
 * can be asked about is answered as it is recorded.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { readBody, sendRequest } from "../docker/http";
import { HostError, messageOf } from "../errors";
import { within } from "../time";
import type { DockerStream, ManagerChoice } from "./choose";
import type { RecordedAnswers } from "./recorded";
import type { Answering } from "./server";

const ATTEMPTS = 3;
const PAUSE_MS = 1000;
/** A manager without a leader answers after 20 s, with an error. */
const ANSWER_SECONDS = 25;
/** What Docker's client and provider read of an engine and its Swarm; none of it is a stream. */
const READS =
  /^(?:\/v[\d.]+)?\/(?:_ping|version|info|swarm|(?:secrets|networks|services|nodes|tasks)(?:\/[^/]+)?)$/;
const NETWORK = /\/networks\/[^/]+$/;
/** Headers of one connection alone, but for what says where a body ends. */
const HOP_BY_HOP = ["connection", "keep-alive", "te", "trailer", "upgrade"];
const FRAMING = ["content-length", "transfer-encoding"];

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Answers Docker's requests. Where no manager is in reach, with 503 and the reasons. */
export function answering(choice: ManagerChoice, recorded: RecordedAnswers): Answering {
  return (request, response, left) => {
    const closed = new AbortController();
    response.on("close", () => closed.abort());
    const signal = AbortSignal.any([left, closed.signal]);
    const isRead = /^(GET|HEAD)$/.test(request.method ?? "") && READS.test(pathOf(request));
    const answered = isRead
      ? read(choice, recorded, request, signal).then((answer) => write(response, answer))
      : passOn(choice, request, response, signal);
    answered.catch((error: unknown) => {
      // What has begun to be answered cannot be taken back: the client is told by its end.
      if (signal.aborted || response.headersSent) response.destroy();
      else write(response, refusal(error));
    });
  };
}

async function read(
  choice: ManagerChoice,
  recorded: RecordedAnswers,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<Answer> {
  const answer = await fromManager(choice, request, signal).catch(refusal);
  if (answer.status < 500 || signal.aborted) return answer;
  const known = await recorded.to(pathOf(request));
  if (known === undefined) return answer;
  return { status: 200, headers: {}, body: Buffer.from(JSON.stringify(known)) };
}

/** @throws an error where there is no manager, or none that answers. */
async function fromManager(
  choice: ManagerChoice,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    const stream = await choice.stream();
    const answer = await ask(stream, request, signal).catch((error: unknown) => error);
    // A manager that cannot ask the Swarm for a network says that there is none.
    const isDubious = (status: number) => status >= 500 || (status === 404 && NETWORK.test(pathOf(request)));
    const isLast = attempt === ATTEMPTS || signal.aborted;
    if (isAnswer(answer) && (isLast || !isDubious(answer.status))) return answer;
    if (isLast) throw answer;
    await choice.clock.sleep(PAUSE_MS);
    await choice.doubt(stream.manager);
  }
}

const isAnswer = (answer: unknown): answer is Answer => !(answer instanceof Error);

async function ask(stream: DockerStream, request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
  const { node } = stream.manager;
  const late = () => new HostError(node, `Docker does not answer within ${ANSWER_SECONDS} s`);
  // Its body is not sent.
  const headers = without(endToEnd(request.headers), FRAMING);
  return using(stream, signal, async () => {
    const asked = sendRequest(stream.channel, { ...targetOf(request), headers, signal }).then(
      async (message) => ({
        status: message.statusCode ?? 0,
        headers: without(endToEnd(message.headers), FRAMING),
        body: await readBody(message),
      }),
    );
    return within(ANSWER_SECONDS, asked, late);
  });
}

async function passOn(
  choice: ManagerChoice,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const stream = await choice.stream();
  await using(stream, signal, async () => {
    const headers = endToEnd(request.headers);
    const sent = { ...targetOf(request), headers, body: request, signal };
    const message = await sendRequest(stream.channel, sent);
    // What is left of a request that is answered before its end is not taken.
    const last = request.complete ? {} : { connection: "close" };
    response.writeHead(message.statusCode ?? 0, { ...endToEnd(message.headers), ...last });
    response.flushHeaders();
    await pipeline(message, response);
  });
}

/** Does `work` on a stream, until that is done or the client has left. */
async function using<T>(
  { manager, channel, release }: DockerStream,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    signal.throwIfAborted();
    const left = once(signal, "abort").then(() => Promise.reject(new Error("its client has left")));
    return await Promise.race([work(), left]);
  } catch (error) {
    throw error instanceof HostError ? error : new HostError(manager.node, `Docker: ${messageOf(error)}`);
  } finally {
    // It is not closed before it is read to its end.
    channel.resume();
    channel.destroy();
    release();
  }
}

/** What is asked, and how. */
function targetOf({ method = "", url = "" }: IncomingMessage) {
  return { method, path: url };
}

const endToEnd = (headers: IncomingHttpHeaders): IncomingHttpHeaders => without(headers, HOP_BY_HOP);

function without(headers: IncomingHttpHeaders, names: readonly string[]): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}

function write(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(body);
}

/** As Docker says what is wrong; its client shows the message. */
function refusal(error: unknown): Answer {
  return { status: 503, headers: {}, body: Buffer.from(JSON.stringify({ message: messageOf(error) })) };
}

/** A request's path without its query. */
function pathOf({ url = "" }: IncomingMessage): string {
  return url.split("?")[0] ?? "";
}
