// For tests: makes clients when it is told to, and writes down what they say.
import { KartaAgentClient, loadKarta } from "@karta/client";
import type { ClientOptions, KartaOptions, State } from "@karta/client";

const place = { baseUrl: "https://agent.example", embedKey: "pk_live_xxx" };

function make(options: Partial<ClientOptions> = {}) {
  const client = new KartaAgentClient({ ...place, ...options });
  const states: State[] = [];
  client.subscribe(() => states.push(client.getState()));
  return Object.assign(client, { states });
}

/** What connecting came to. */
const attempt = (client: KartaAgentClient) => client.connect().then(() => "connected", (error) => `${error.name} ${error.code}`);

Object.assign(window, { make, attempt, load: (options: Partial<KartaOptions> = {}) => loadKarta({ ...place, ...options }) });
