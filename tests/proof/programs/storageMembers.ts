/** Members of MinIO, as far as the storage guard sees them: as programs for `node --eval`. */

/** It answers when asked for its health, says so once, and keeps everything else waiting. */
export const member = `
  let asked = false;
  require("node:http")
    .createServer((request, response) => {
      if (!request.url.startsWith("/minio/")) return;
      response.end();
      if (!asked) console.log("asked");
      asked = true;
    })
    .listen(9000, process.argv[1], () => console.log("listens"));`;

/** Another member's question to this one, from that member's address. */
export const asking = `
  const [localAddress, host] = process.argv.slice(1);
  require("node:http")
    .get({ host, port: 9000, path: "/minio/health/live", localAddress, timeout: 1500 }, ({ statusCode }) => { console.log(statusCode); process.exit(); })
    .on("timeout", function () { this.destroy(new Error("silent")); })
    .on("error", ({ message }) => console.log(message));`;
