/** The way from this machine to others: straight, or by the proxies that its environment names. */
import * as http from "node:http";
import * as net from "node:net";

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether `no_proxy` names a host, or a domain that it is in. */
function isExempt(host: string, env: Environment): boolean {
  const names = (env.no_proxy ?? env.NO_PROXY ?? "").split(/[\s,]+/).filter(Boolean);
  const within = (name: string): boolean => {
    const bare = name.replace(/:\d+$/, "").replace(/^\*?\./, "");
    return name === "*" || host === bare || host.endsWith(`.${bare}`);
  };
  return names.some(within);
}

/** The proxy by which a host is reached; undefined where there is none. */
export function proxyFor(protocol: "http" | "https", host: string, env: Environment): URL | undefined {
  const [own, common] = [`${protocol}_proxy`, "all_proxy"].map(
    (name) => env[name] || env[name.toUpperCase()],
  );
  const named = own || common;
  if (!named || isExempt(host, env)) return undefined;
  return new URL(named.includes("://") ? named : `http://${named}`);
}

/** What of the environment's proxies cannot be spoken to here. */
export function unspokenProxy(env: Environment): string | undefined {
  const proxies = (["http", "https"] as const).map((protocol) => proxyFor(protocol, "", env));
  return proxies.find((proxy) => proxy && proxy.protocol !== "http:")?.protocol.replace(":", "");
}

function authorization({ username, password }: URL): http.OutgoingHttpHeaders {
  if (username === "") return {};
  const credentials = [username, password].map(decodeURIComponent).join(":");
  return { "Proxy-Authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}

const placeOf = ({ hostname, port }: URL) => ({ host: hostname, port: port === "" ? 80 : Number(port) });

/** A connection to a port of a host, on which TLS is spoken as a rule. */
export function connectTo(host: string, port: number, env: Environment = process.env): Promise<net.Socket> {
  const proxy = proxyFor("https", host, env);
  return new Promise((resolve, reject) => {
    if (!proxy) {
      const straight = net.connect(port, host, () => resolve(straight));
      straight.once("error", reject);
      return;
    }
    const target = `${host}:${port}`;
    const headers = { Host: target, ...authorization(proxy) };
    const asked = http.request({ ...placeOf(proxy), method: "CONNECT", path: target, headers, agent: false });
    asked.on("connect", ({ statusCode }, socket: net.Socket, head: Buffer) => {
      if (statusCode !== 200) {
        socket.destroy();
        return reject(new Error(`the proxy answers ${statusCode} for ${target}`));
      }
      socket.unshift(head);
      resolve(socket);
    });
    asked.on("response", ({ statusCode }) =>
      reject(new Error(`the proxy answers ${statusCode} for ${target}`)),
    );
    asked.on("error", reject);
    asked.end();
  });
}

/** A request in plain HTTP, whose body is still to be sent. */
export function requestTo(
  url: URL,
  options: { readonly method?: string; readonly headers: http.IncomingHttpHeaders },
  env: Environment = process.env,
): http.ClientRequest {
  const proxy = proxyFor("http", url.hostname, env);
  if (!proxy) return http.request(url, { ...options, agent: false });
  const headers = { ...options.headers, ...authorization(proxy) };
  return http.request({ ...placeOf(proxy), method: options.method, path: url.href, headers, agent: false });
}
