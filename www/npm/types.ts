/** What the package and the server's engine say to each other. Tests of the engine hold the names in this file to those in it. */

/** Who the visitor is. Without a proof, `userId` and `attributes` are labels for the owner and open nothing. */
export interface Identity {
  userId?: string;
  /** Your backend's signature of `userId`. */
  identityToken?: string;
  /** Minted by your backend; works once, for five minutes. */
  userToken?: string;
  attributes?: Record<string, string | number | boolean | null | undefined>;
}

/** Which server, and which agent. */
export interface Place {
  /** Address of your karta-server. */
  baseUrl: string;
  /** The public key (`pk_…`). */
  embedKey: string;
  /** Which agent, for a key that is not pinned to one. */
  agentRef?: string;
  projectRef?: string;
}

export interface Theme {
  accent?: string;
  accentForeground?: string;
  agentName?: string;
  agentAvatar?: string;
  greeting?: string;
  suggestedPrompts?: string[] | string;
  footer?: string;
  position?: "br" | "bl" | "tr" | "tl";
  mode?: "auto" | "light" | "dark";
  launcherLabel?: string;
}

export type Connection = "connecting" | "connected" | "realtime" | "reconnecting" | "offline";

export type VoicePhase = "off" | "connecting" | "listening" | "thinking" | "speaking" | "muted" | "reconnecting";

type Nothing = Record<string, never>;

/** Every event with its payload. */
export interface Events {
  ready: Nothing;
  open: Nothing;
  close: Nothing;
  "session:started": { sessionId: string };
  "message:sent": { text: string };
  "message:received": { text: string };
  unread: { count: number };
  escalate: { reason?: string; context: Escalation };
  error: { message: string; code?: string };
  limit_reached: { message: string; code?: string; retryAfterSeconds?: number };
  "voice:started": Nothing;
  "voice:ended": { reason: string };
  "voice:muted": { muted: boolean };
  transcript: { role: "user" | "agent"; text: string; final: boolean };
  connection: { state: Connection };
}

export type EventName = keyof Events;
export type Listener<E extends EventName> = (payload: Events[E]) => unknown;

/** Your own entries as texts, and the conversation so far. */
export interface Escalation {
  sessionId?: string;
  transcript: { role: "user" | "agent"; text: string }[];
  [entry: string]: unknown;
}

/** One line of the conversation. Frozen; the same object until the line changes. */
export interface Message {
  /** Unique and stable in this client: a key for lists, and what `retry` takes. */
  readonly id: string;
  /** `system`: neither side has said it (a tool that asks, or has acted). */
  readonly role: "user" | "agent" | "system";
  /** What the visitor wrote, as it is. What the agent writes is markdown. */
  readonly text: string;
  readonly state: "sending" | "sent" | "failed" | "streaming" | "done" | "interrupted";
  /** Said aloud. */
  readonly spoken: boolean;
  /** Place in the conversation's log: the same on every page. `null` until the server has it. */
  readonly seq: number | null;
  /** Milliseconds since 1970 by the server's clock. `null` until it is known. */
  readonly at: number | null;
  /** Documents that an answer is from; `url` is safe to link. */
  readonly sources: readonly { readonly title: string; readonly url: string | null }[];
}

/** The whole conversation as it is now. Frozen; the same object until something changes, and so is each of its parts. */
export interface State {
  /** `idle`: there is no conversation. */
  readonly connection: "idle" | Connection;
  readonly sessionId: string | null;
  /** What `open` and `close` said: the visitor looks at the conversation, so nothing is unread. */
  readonly open: boolean;
  readonly agent: {
    readonly name: string;
    readonly avatarUrl: string | null;
    /** What the owner wants read before anything is said: show it. */
    readonly privacyNotice: string | null;
    readonly footer: string | null;
  };
  readonly locale: string;
  readonly messages: readonly Message[];
  /** The agent works and nothing of its answer is visible yet. */
  readonly typing: boolean;
  /** An answer is under way: `stop` ends it. */
  readonly answering: boolean;
  readonly unread: number;
  /** What to say while the conversation is empty. */
  readonly prompts: readonly string[];
  /** A tool that may act once the visitor allows it: `confirmTool`. */
  readonly tool: { readonly requestId: string; readonly title: string; readonly details: string } | null;
  readonly canSend: boolean;
  /** The agent does not know, and somebody listens to `escalate`. */
  readonly offersPerson: boolean;
  /** A limit is reached; `null` seconds: time does not heal it. */
  readonly limit: { readonly retryAfterSeconds: number | null } | null;
  /** What is wrong, in the visitor's words. `fatal`: nothing happens before `connect` or `identify`; else it heals by itself, or by `retry`. */
  readonly error: { readonly code: string; readonly message: string; readonly fatal: boolean } | null;
  readonly voice: {
    /** A call can be started. */
    readonly available: boolean;
    readonly phase: VoicePhase;
    readonly muted: boolean;
    readonly seconds: number;
    /** The browser plays nothing before the visitor presses something: call `resumeAudio` from a click. */
    readonly blocked: boolean;
    /** What is being said now. */
    readonly captions: { readonly user: string | null; readonly agent: string | null };
    /** Why there is no call (a reason of `voice:ended`), until the visitor goes on. */
    readonly ended: string | null;
    readonly microphones: readonly { readonly id: string; readonly label: string; readonly active: boolean }[];
  };
}

/** The prebuilt widget, as far as its events tell. */
export interface WidgetState {
  readonly ready: boolean;
  readonly open: boolean;
  readonly unread: number;
  readonly connection: "idle" | Connection;
  readonly sessionId: string | null;
  readonly voice: { readonly active: boolean; readonly muted: boolean };
}
