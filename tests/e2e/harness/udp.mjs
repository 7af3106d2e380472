// A way through the network for a call's packets that a test can block: browser ⇄ relay ⇄ server. Text by HTTPS does not pass here.
import dgram from "node:dgram";

const bound = (socket) => new Promise((done) => socket.bind(0, "127.0.0.1", done));

/** `server`: "address:port" of the server's media. */
export async function startPath(server) {
  const [host, port] = server.split(":");
  const front = dgram.createSocket("udp4");
  const ways = new Map();
  const path = {
    blocked: false, port: 0,
    close() {
      front.close();
      for (const way of ways.values()) way.then((socket) => socket.close());
    },
    /** Leads the connections of a page through here, by the address in the server's answers. */
    async lead(page) {
      await page.route("**/connect", async (route) => {
        if (route.request().method() !== "POST") return route.continue();
        const response = await route.fetch();
        await route.fulfill({ response, body: (await response.text()).replaceAll(` ${host} ${port} `, ` ${host} ${path.port} `) });
      });
    },
  };
  const open = async (from) => {
    const socket = dgram.createSocket("udp4");
    await bound(socket);
    socket.on("message", (message) => { if (!path.blocked) front.send(message, from.port, from.address); });
    return socket;
  };
  front.on("message", async (message, from) => {
    const key = `${from.address}:${from.port}`;
    if (!ways.has(key)) ways.set(key, open(from));
    const socket = await ways.get(key);
    if (!path.blocked) socket.send(message, Number(port), host);
  });
  await bound(front);
  path.port = front.address().port;
  return path;
}

/** The same for a call that is handed over: a path to each address of the engine's answers, blocked all together. */
export async function startPaths() {
  const paths = [];
  let blocked = false;
  return {
    get blocked() { return blocked; },
    set blocked(value) {
      blocked = value;
      for (const path of paths) path.blocked = value;
    },
    close() { for (const path of paths) path.close(); },
    async lead(page) {
      await page.route("**/call?*", async (route) => {
        if (route.request().method() !== "POST") return route.continue();
        // Without an address of the browser's the engine answers only where it is asked from.
        const response = await route.fetch({ postData: route.request().postData().replace(/^a=candidate:.*\r\n/gm, "") });
        let body = (await response.text()).replace(/^a=candidate:.* [\da-f]*:[\da-f:]* \d+ typ .*\r?\n/gm, "");
        for (const [line, host, port] of body.matchAll(/^a=candidate:.* (\d+\.\d+\.\d+\.\d+) (\d+) typ .*$/gm)) {
          const path = await startPath(`${host}:${port}`);
          path.blocked = blocked;
          paths.push(path);
          body = body.replace(line, line.replace(` ${host} ${port} `, ` 127.0.0.1 ${path.port} `));
        }
        await route.fulfill({ response, body });
      });
    },
  };
}
