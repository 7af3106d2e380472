import { KartaAgentClient } from "@karta/client";

const client = new KartaAgentClient({ baseUrl: "https://agent.example", embedKey: "pk_live_xxx" });

client.subscribe(() => {
  const { messages, typing, agent } = client.getState();
  document.querySelector("#notice")!.textContent = agent.privacyNotice;
  document.querySelector("#typing")!.toggleAttribute("hidden", !typing);
  document.querySelector("ol")!.replaceChildren(
    ...messages.map(({ id, role, text, state }) => {
      const line = document.createElement("li");
      line.className = role;
      line.textContent = text;
      if (state === "failed") line.onclick = () => client.retry(id);
      return line;
    }),
  );
});

document.querySelector("form")!.onsubmit = (event) => {
  event.preventDefault();
  const field = document.querySelector("input")!;
  client.sendMessage(field.value);
  field.value = "";
};

client.connect().catch(({ code, message }) => console.info(`no chat today (${code}): ${message}`));
