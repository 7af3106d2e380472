// A customer's backend, as far as it has to do with Karta.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

/** Signs a user id, and mints user tokens. */
export async function backend({ server, key }) {
  const rotated = async (which) => JSON.parse(await server.cli("keys", "rotate", key, which, "--now", "--json"));
  const identitySecret = (await rotated("--identity")).identity_secret;
  const secretKey = (await rotated("--secret")).secret_key;
  return {
    proof: (userId) => createHmac("sha256", identitySecret).update(userId).digest("hex"),
    async userToken(externalUserId) {
      const answer = await fetch(`${server.http}/api/v1/widget/auth/user-token`, {
        method: "POST",
        headers: { authorization: `Bearer ${secretKey}`, "content-type": "application/json" },
        body: JSON.stringify({ external_user_id: externalUserId }),
      });
      assert.equal(answer.status, 200, await answer.clone().text());
      return (await answer.json()).user_token;
    },
  };
}
