/**
 * Karta in React: `<KartaWidget/>` puts the prebuilt widget on the page, `useKartaAgent` gives the conversation to a UI of your own. Safe in strict mode,
 * whose second mounting in the same moment costs nothing, and on a server, where both do nothing.
 */
"use client";

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { KartaAgentClient, loadKarta } from "./client.js";
import type { ClientOptions, Karta, KartaOptions } from "./client.js";
import type { EventName, Listener, State } from "./types.js";

/** `onMessageReceived` for `message:received`, and so on. */
export interface Handlers {
  onReady?: Listener<"ready">;
  onOpen?: Listener<"open">;
  onClose?: Listener<"close">;
  onSessionStarted?: Listener<"session:started">;
  onMessageSent?: Listener<"message:sent">;
  onMessageReceived?: Listener<"message:received">;
  onUnread?: Listener<"unread">;
  onEscalate?: Listener<"escalate">;
  onError?: Listener<"error">;
  onLimitReached?: Listener<"limit_reached">;
  onVoiceStarted?: Listener<"voice:started">;
  onVoiceEnded?: Listener<"voice:ended">;
  onVoiceMuted?: Listener<"voice:muted">;
  onTranscript?: Listener<"transcript">;
  onConnection?: Listener<"connection">;
}

const HANDLERS: readonly [keyof Handlers, EventName][] = [
  ["onReady", "ready"], ["onOpen", "open"], ["onClose", "close"], ["onSessionStarted", "session:started"], ["onMessageSent", "message:sent"],
  ["onMessageReceived", "message:received"], ["onUnread", "unread"], ["onEscalate", "escalate"], ["onError", "error"], ["onLimitReached", "limit_reached"],
  ["onVoiceStarted", "voice:started"], ["onVoiceEnded", "voice:ended"], ["onVoiceMuted", "voice:muted"], ["onTranscript", "transcript"],
  ["onConnection", "connection"],
];

/** The newest value, for callbacks that outlive a render. */
function useLatest<T>(value: T) {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}

/** Something with subscribers: the client or the widget. */
interface Source {
  on<E extends EventName>(event: E, listener: Listener<E>): () => void;
}

/** Subscribes once; which functions are called may change with each render. */
function useHandlers(source: () => Source | undefined, handlers: Handlers, key: unknown) {
  const latest = useLatest(handlers);
  // Who listens to `escalate` offers a person to the visitor: only where the page does.
  const escalates = Boolean(handlers.onEscalate);
  useEffect(() => {
    const from = source();
    const ends = HANDLERS.filter(([, event]) => event !== "escalate" || escalates).map(([handler, event]) =>
      from?.on(event, (payload) => (latest.current[handler] as Listener<EventName> | undefined)?.(payload)),
    );
    return () => ends.forEach((end) => end?.());
  }, [key, escalates]);
}

const placeOf = ({ baseUrl, embedKey, agentRef, projectRef }: ClientOptions | KartaOptions) => JSON.stringify([baseUrl, embedKey, agentRef, projectRef]);

export interface KartaWidgetProps extends KartaOptions, Handlers {}

/** A component has the widget: there is one a page. */
let taken = false;
/** It has gone, and perhaps comes back at once: then nothing happens. */
let leaving: { place: string; karta: Karta } | undefined;

function leave() {
  leaving?.karta.shutdown();
  leaving = undefined;
}

/** The prebuilt widget. Renders nothing itself. */
export function KartaWidget(props: KartaWidgetProps): null {
  const { theme, locale, identity } = props;
  const place = placeOf(props);
  const latest = useLatest(props);
  const mounted = useRef<Karta | undefined>(undefined);
  /** What the widget was told last. */
  const said = useRef({ look: "", identity: "" });
  const look = JSON.stringify({ theme, locale });
  const who = JSON.stringify(identity ?? {});

  useEffect(() => {
    if (taken) {
      console.warn("[karta] already_mounted: there is another <KartaWidget/>; this one does nothing.");
      return;
    }
    taken = true;
    const { theme, locale, identity, nonce, baseUrl, embedKey, agentRef, projectRef } = latest.current;
    const back = leaving?.place === place;
    const karta = back ? (leaving as { karta: Karta }).karta : (leave(), loadKarta({ theme, locale, identity, nonce, baseUrl, embedKey, agentRef, projectRef }));
    leaving = undefined;
    mounted.current = karta;
    if (!back) said.current = { look: JSON.stringify({ theme, locale }), identity: JSON.stringify(identity ?? {}) };
    return () => {
      taken = false;
      mounted.current = undefined;
      leaving = { place, karta };
      queueMicrotask(leave);
    };
  }, [place]);

  useEffect(() => {
    if (!mounted.current || said.current.look === look) return;
    said.current.look = look;
    mounted.current.update({ theme, locale });
  }, [look, place]);

  useEffect(() => {
    if (!mounted.current || said.current.identity === who) return;
    said.current.identity = who;
    mounted.current.identify(identity ?? {});
  }, [who, place]);

  useHandlers(() => mounted.current, props, place);
  return null;
}

export interface AgentOptions extends ClientOptions, Handlers {
  /** False: `client.connect()` is yours to call. */
  autoConnect?: boolean;
}

export interface Agent {
  client: KartaAgentClient;
  state: State;
}

/** The conversation for a UI of your own. The client changes only where server, key or agent do. */
export function useKartaAgent(options: AgentOptions): Agent {
  const { identity, locale, autoConnect = true } = options;
  const place = placeOf(options);
  const [held, hold] = useState(() => ({ place, client: made(options) }));
  let { client } = held;
  if (held.place !== place) {
    client = made(options);
    hold({ place, client });
  }
  const who = JSON.stringify(identity ?? {});
  const said = useRef({ client, who, locale });

  useEffect(() => {
    gone.delete(client);
    if (autoConnect) client.connect().catch(() => {});
    return () => {
      gone.add(client);
      queueMicrotask(() => {
        if (gone.delete(client)) client.shutdown();
      });
    };
  }, [client, autoConnect]);

  useEffect(() => {
    const before = said.current;
    said.current = { client, who, locale };
    // A new client has been made with both.
    if (before.client !== client) return;
    if (before.who !== who) client.identify(identity ?? {});
    if (before.locale !== locale) client.update({ locale });
  }, [client, who, locale]);

  useHandlers(() => client, options, client);
  return { client, state: useSyncExternalStore(client.subscribe, client.getState, client.getState) };
}

/** Clients whose component has gone, and perhaps comes back at once. */
const gone = new Set<KartaAgentClient>();

function made({ baseUrl, embedKey, agentRef, projectRef, identity, locale }: AgentOptions) {
  return new KartaAgentClient({ baseUrl, embedKey, agentRef, projectRef, identity, locale });
}
