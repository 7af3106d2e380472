// For tests: draws what it is told to, in strict mode, and counts what components hear.
import { Activity, StrictMode } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { KartaWidget } from "@karta/client/react";
import type { KartaWidgetProps } from "@karta/client/react";
import { Chat } from "./chat.js";
import { Support } from "./widget.js";

const place = { baseUrl: "https://agent.example", embedKey: "pk_live_xxx" };
const root = createRoot(document.querySelector("#root")!);
const heard: string[] = [];

/** `handlers`: what each callback writes down; another text is another function. */
function widget(props: Partial<KartaWidgetProps> = {}, word = "") {
  const note = (name: string) => (payload: object) => heard.push([name, JSON.stringify(payload), word].join(" ").trim());
  return <KartaWidget {...place} {...props} onOpen={note("open")} onReady={note("ready")} onError={note("error")} onMessageReceived={note("received")} />;
}

const draw = (what: React.ReactNode) => flushSync(() => root.render(<StrictMode>{what}</StrictMode>));
Object.assign(window, {
  heard,
  drawWidget: (props?: Partial<KartaWidgetProps>, word?: string) => draw(widget(props, word)),
  drawTwo: () => draw([<div key="1">{widget()}</div>, <div key="2">{widget()}</div>]),
  drawSupport: (accent: string, user?: { id: string; token: string }) => draw(<Support accent={accent} user={user} />),
  drawChat: (hidden?: boolean) => draw(<Activity mode={hidden ? "hidden" : "visible"}><Chat /></Activity>),
  drawNothing: () => draw(null),
});
