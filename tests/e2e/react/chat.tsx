import { useState } from "react";
import { useKartaAgent } from "@karta/client/react";

export function Chat() {
  const { client, state } = useKartaAgent({ baseUrl: "https://agent.example", embedKey: "pk_live_xxx" });
  const [draft, setDraft] = useState("");
  return (
    <section aria-label={state.agent.name}>
      <ol>
        {state.messages.map(({ id, role, text }) => (
          <li key={id} className={role}>
            {text}
          </li>
        ))}
      </ol>
      {state.typing && <p>…</p>}
      {state.error && <p role="alert">{state.error.message}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          client.sendMessage(draft);
          setDraft("");
        }}
      >
        <input value={draft} onChange={(event) => setDraft(event.target.value)} disabled={!state.canSend} />
      </form>
    </section>
  );
}
