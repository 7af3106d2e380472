// A port for a program that cannot choose one itself.
import net from "node:net";

/** Free a moment ago: whoever asks uses it at once. */
export async function freePort() {
  const server = net.createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
