// An owner whose agent can do something: the address that a tool asks, and the agent that has the tool.
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";

export const TITLE = "Cancel an order";

/** The owner's side: an address that cancels orders, and a list of tools that names it. */
export async function startShop({ server, agent }, { confirm = true } = {}) {
  const calls = [];
  let gate = Promise.resolve();
  const owner = http.createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    calls.push({ headers: request.headers, body });
    await gate;
    response.writeHead(200, { "content-type": "application/json" }).end('{"cancelled":true}');
  });
  await new Promise((done) => owner.listen(0, "127.0.0.1", done));
  const tools = [{
    name: "cancel_order", title: TITLE, description: "Cancels an order that was not sent yet.", confirm, url: `http://127.0.0.1:${owner.address().port}/karta`,
    parameters: { type: "object", properties: { order: { type: "string" }, reason: { type: "string" } }, required: ["order"] },
  }];
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "karta-tools-")), "tools.json");
  fs.writeFileSync(file, JSON.stringify(tools));
  await server.cli("agents", "update", agent, "--tools", file);
  fs.rmSync(path.dirname(file), { recursive: true });
  return {
    calls,
    hold() {
      let go;
      gate = new Promise((done) => { go = done; });
      return go;
    },
    close() { owner.closeAllConnections(); return new Promise((done) => { owner.close(done); }); },
  };
}
