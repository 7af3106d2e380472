// A static file server for pages of a customer: the demo shop and the cases of tests/e2e.
// What a customer would paste names these two; each request puts the running server and its key in their place.
import fs from "node:fs/promises";
import http from "node:http";
import path from "node:path";

export const PASTED_HOST = "https://agent.example";
export const PASTED_KEY = "pk_live_xxx";

const TYPES = {
  ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml", ".png": "image/png", ".md": "text/markdown; charset=utf-8", ".json": "application/json",
};

/**
 * Serves `root` on 127.0.0.1:`port` (0: any). `values()` → {host, key}; `headers(url)` → extra headers; `rewrite(html, url)` → another page;
 * `handle(request, response)` → true when it answered.
 */
export async function serveFiles(root, { port = 0, values, headers = () => ({}), rewrite = (html) => html, handle = () => false }) {
  const server = http.createServer(async (request, response) => {
    if (handle(request, response)) return undefined;
    const url = new URL(request.url, "http://localhost");
    if (url.pathname === "/favicon.ico") {
      response.writeHead(204); // browsers ask for it unasked
      return response.end();
    }
    let file = path.join(root, path.normalize(decodeURIComponent(url.pathname)));
    if (file.endsWith(path.sep)) file += "index.html";
    const type = TYPES[path.extname(file)];
    try {
      if (!file.startsWith(root) || !type) throw new Error("not served");
      let body = await fs.readFile(file);
      if (type.startsWith("text/html")) {
        const { host, key } = values();
        body = rewrite(body.toString(), url).replaceAll(PASTED_HOST, host).replaceAll(PASTED_KEY, key);
      }
      response.writeHead(200, { "content-type": type, "cache-control": "no-cache", ...headers(url) });
      response.end(request.method === "HEAD" ? undefined : body);
    } catch {
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" });
      response.end("Not found\n");
    }
  });
  await new Promise((done, fail) => server.once("error", fail).listen(port, "127.0.0.1", done));
  return {
    port: server.address().port,
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}
