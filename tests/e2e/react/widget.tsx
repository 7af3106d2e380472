import { KartaWidget } from "@karta/client/react";

export function Support({ user, accent }: { user?: { id: string; token: string }; accent: string }) {
  return (
    <KartaWidget
      baseUrl="https://agent.example"
      embedKey="pk_live_xxx"
      theme={{ accent, agentName: "Beans" }}
      identity={user && { userId: user.id, identityToken: user.token }}
      onUnread={({ count }) => (document.title = count ? `(${count}) Shop` : "Shop")}
    />
  );
}
