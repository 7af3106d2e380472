// Never run: what a customer's compiler accepts and refuses.
import { KartaAgentClient, KartaError, loadKarta } from "@karta/client";
import type { EventName, Message, State, WidgetState } from "@karta/client";

const client = new KartaAgentClient({ baseUrl: "https://agent.example", embedKey: "pk_live_xxx", identity: { userId: "u_1", attributes: { plan: "pro" } } });
const connected: Promise<void> = client.connect();
const end: () => void = client.on("unread", ({ count }) => count.toFixed());
client.once("limit_reached", ({ message, retryAfterSeconds }) => `${message} ${retryAfterSeconds?.toFixed()}`);
client.on("transcript", ({ role, final }) => (role === "agent") === final);
client.off("escalate");
const state: State = client.getState();
const texts: string[] = state.messages.filter((message: Message) => message.role === "agent" && message.state === "streaming").map(({ text }) => text);
if (state.tool) client.confirmTool(state.tool.requestId, true);
const name: EventName = "voice:ended";
const failed = (error: unknown) => error instanceof KartaError && error.code;
const widget: WidgetState = loadKarta({ baseUrl: "https://agent.example", embedKey: "pk_live_xxx", theme: { accent: "#2563eb", position: "bl" } }).getState();

// @ts-expect-error: a key is needed
new KartaAgentClient({ baseUrl: "https://agent.example" });
// @ts-expect-error: no such event
client.on("message", () => {});
// @ts-expect-error: another payload
client.on("unread", ({ text }) => text);
// @ts-expect-error: a decision is yes or no
client.confirmTool("t_1", "yes");
// @ts-expect-error: the state is read only
client.getState().messages.push(state.messages[0]!);
// @ts-expect-error: so are its parts
client.getState().voice.muted = true;
// @ts-expect-error: no such place
loadKarta({ baseUrl: "https://agent.example", embedKey: "pk_live_xxx", theme: { position: "middle" } });
