// One browser tab on a customer's page: finds the widget's parts, and remembers everything that went wrong or over the wire.
import { until } from "./until.mjs";

/** Runs in the page before anything else: counts what goes over data channels, and CSP violations. Touches nothing of Karta. */
function probe() {
  const seen = { sent: [], received: [], times: [], channels: 0, csp: [] };
  Object.defineProperty(window, "e2eProbe", { value: seen });
  const peers = [];
  Object.defineProperty(window, "e2ePeers", { value: peers });
  document.addEventListener("securitypolicyviolation", (e) => seen.csp.push(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
  if (!window.RTCPeerConnection) return;
  const send = RTCDataChannel.prototype.send;
  RTCDataChannel.prototype.send = function (data) {
    seen.sent.push(String(data));
    return send.call(this, data);
  };
  const create = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (...args) {
    const channel = create.apply(this, args);
    peers.push(this);
    channel.addEventListener("open", () => { seen.channels += 1; });
    channel.addEventListener("message", (e) => {
      seen.received.push(String(e.data));
      seen.times.push(performance.now());
    });
    return channel;
  };
}

export async function openTab(context, origin, { before } = {}) {
  const page = await context.newPage();
  await page.addInitScript(probe);
  for (const script of [before ?? []].flat()) await page.addInitScript(script);
  return new Tab(page, origin);
}

export const PARTS = ["launcher", "badge", "panel", "header", "messages", "message", "composer", "send", "voice", "close"];

class Tab {
  constructor(page, origin) {
    this.page = page;
    this.origin = origin;
    /** Console warnings and errors, exceptions, unhandled rejections: what a customer would see in the developer tools. */
    this.complaints = [];
    this.forgiven = [];
    this.requests = [];
    for (const part of PARTS) this[part] = page.locator(`karta-root [part~="${part}"]`);
    // The composer part may be the field itself or the box around it.
    this.field = page.locator('karta-root :is(textarea[part~="composer"], [part~="composer"] textarea)');
    page.on("console", (m) => { if (["warning", "error"].includes(m.type())) this.complaints.push(`console.${m.type()}: ${m.text()}`); });
    page.on("pageerror", (e) => this.complaints.push(`exception: ${e?.stack ?? e}`));
    page.on("crash", () => this.complaints.push("the tab crashed"));
    page.on("request", (r) => this.requests.push({ method: r.method(), url: r.url(), headers: r.headers(), body: r.postData() }));
  }

  async goto(path = "/") {
    await this.page.goto(this.origin + path);
    return this;
  }

  /** Loads a page and waits for the button. */
  async load(path = "/") {
    await this.goto(path);
    await this.launcher.waitFor();
    return this;
  }

  async openPanel() {
    await this.launcher.click();
    await this.panel.waitFor();
  }

  /** Open, however it was left: a panel that was open comes back by itself. */
  async reveal() {
    await this.page.evaluate(() => window.karta("open"));
    await this.panel.waitFor();
  }

  async type(text) { await this.field.fill(text); }

  async say(text) {
    await this.type(text);
    await this.field.press("Enter");
  }

  /** The conversation as it stands on screen: [{role, state, text}]. Locators do not wait; use `until`. */
  async conversation() {
    return this.message.evaluateAll((items) => items.map((item) => ({
      role: item.dataset.role, state: item.dataset.state, text: (item.querySelector(".bubble") ?? item).textContent.replace(/\s+/g, " ").trim(),
    })));
  }

  async said(role) { return (await this.conversation()).filter((m) => m.role === role); }

  /** Waits until a message of `role` holds `text` in one of `states`; returns it. */
  async sees(role, text, states = ["sent", "done"], timeoutMs = undefined) {
    return until(async () => {
      const all = await this.said(role);
      return all.find((m) => m.text.includes(text) && states.includes(m.state));
    }, async () => `a ${role} message with "${text}" (${states}) among ${JSON.stringify(await this.conversation())}`, timeoutMs);
  }

  /** Subscribes to every documented event with the public API; `events` reads what came since. */
  async listen() {
    await this.page.evaluate(() => {
      const events = [];
      Object.defineProperty(window, "e2eEvents", { value: events, configurable: true });
      for (const name of ["ready", "open", "close", "session:started", "message:sent", "message:received", "unread", "escalate", "error", "limit_reached", "connection", "voice:started", "voice:ended", "voice:muted", "transcript"]) {
        window.karta("on", name, (payload) => events.push({ name, ...payload }));
      }
    });
  }

  async events(name) {
    const all = await this.page.evaluate(() => window.e2eEvents ?? []);
    return name ? all.filter((e) => e.name === name) : all;
  }

  async event(name, matches = () => true, timeoutMs = undefined) {
    return until(async () => (await this.events(name)).find(matches), async () => `event ${name} among ${JSON.stringify(await this.events())}`, timeoutMs);
  }

  probe() { return this.page.evaluate(() => window.e2eProbe); }

  /** Waits until the conversation goes over a data channel, as the widget itself says it does. */
  async realtime(timeoutMs = undefined) {
    return until(async () => {
      const { sent, received } = await this.probe();
      return sent.some((f) => f.includes('"hello"')) && received.some((f) => f.includes("session.synced"));
    }, async () => `a synced data channel; probe: ${JSON.stringify(await this.probe())}`, timeoutMs);
  }

  posts(pathEnd) { return this.requests.filter((r) => r.method === "POST" && new URL(r.url).pathname.endsWith(pathEnd)); }

  /** The durable log of this tab's session, read from the server with the tab's own token. */
  async log() {
    const last = [...this.requests].reverse();
    const token = last.find((r) => r.headers.authorization)?.headers.authorization;
    const call = last.find((r) => /\/sessions\/[^/]+\//.test(r.url));
    const url = call.url.replace(/(\/sessions\/[^/?]+).*/, "$1");
    const answer = await fetch(`${url}?after=0`, { headers: { authorization: token, origin: this.origin } });
    if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${await answer.text()}`);
    return (await answer.json()).events;
  }

  /** Takes complaints that the test expected off the list; returns them. */
  takeComplaints(pattern) {
    const [taken, left] = [this.complaints.filter((c) => pattern.test(c)), this.complaints.filter((c) => !pattern.test(c))];
    this.complaints = left;
    return taken;
  }

  /** Complaints that a test expects and that do not come in order with what the page does: the browser's own lines, about requests for instance, may still be on their way when the page knows. */
  forgive(pattern) { this.forgiven.push(pattern); }

  /** What is left: nothing, if the page must look to its owner as if nothing had happened. */
  unforgiven() { return this.complaints.filter((c) => !this.forgiven.some((pattern) => pattern.test(c))); }
}
