"""Proofs of identity: the published vectors, what is refused, and what the real server makes of them."""

from __future__ import annotations

import base64
import json
import time
import unittest

from karta import identity_token, identity_token_v2

from real_server import PAGE, Visitor, shared

SECRET = "test_secret"
VECTORS = {
    "u_123": "13d5f00c1cb65c81f410ade73d870807d9b13a5976ff37cf96bb55cd4fb3c778",
    "john@example.com": "f85434223d090e0c770f07b0084ce9ae5690e96fa1094a9c87bf8382b517c782",
}


class Plain(unittest.TestCase):
    def test_the_published_vectors_hold(self) -> None:
        for user_id, token in VECTORS.items():
            self.assertEqual(identity_token(SECRET, user_id), token)

    def test_an_id_is_its_bytes(self) -> None:
        tokens = {identity_token(SECRET, user_id) for user_id in ("u_123", "u_123 ", "U_123", "é", "e\u0301", "u" * 256)}
        self.assertEqual(len(tokens), 6)

    def test_a_line_end_of_the_secret_is_no_part_of_it(self) -> None:
        self.assertEqual(identity_token(SECRET + "\n", "u_123"), VECTORS["u_123"])

    def test_ids_that_the_server_would_refuse_are_not_signed(self) -> None:
        for user_id in ("", "u" * 257, "é" * 129, "a\nb", "a\x7fb", "a\x85b", "a\ud800b"):
            with self.subTest(user_id=user_id), self.assertRaises(ValueError):
                identity_token(SECRET, user_id)
            with self.subTest(user_id=user_id), self.assertRaises(ValueError):
                identity_token_v2(SECRET, user_id)
        with self.assertRaises(TypeError):
            identity_token(SECRET, 123)  # type: ignore[arg-type]

    def test_an_id_that_reads_like_a_v2_token_is_not_signed(self) -> None:
        inside = base64.urlsafe_b64encode(b'{"user_id":"somebody else"}').rstrip(b"=").decode()
        with self.assertRaises(ValueError):
            identity_token(SECRET, inside)
        for harmless in ("bnVsbA", "MTIz", "eyJ1c2VyX2lkIjo", "abcd"):
            self.assertEqual(len(identity_token(SECRET, harmless)), 64)

    def test_other_credentials_are_no_identity_secret(self) -> None:
        for secret in ("sk_live_main_00", "pk_live_main_00", "adm_live_main_00", "", "is_live main"):
            with self.subTest(secret=secret), self.assertRaises(ValueError):
                identity_token(secret, "u_123")


class V2(unittest.TestCase):
    def test_the_payload_says_what_was_given_and_no_more(self) -> None:
        for more, expected in (({}, {}), ({"exp": 1.5}, {"exp": 1}), ({"exp": 7, "stepped_up_at": 6, "aal": "aal2"}, {"exp": 7, "stepped_up_at": 6, "aal": "aal2"})):
            version, payload, mac = identity_token_v2(SECRET, "u_é", **more).split(".")  # type: ignore[arg-type]
            self.assertEqual(version, "v2")
            self.assertEqual(json.loads(base64.urlsafe_b64decode(payload + "==")), {"user_id": "u_é", **expected})
            self.assertNotIn("=", payload)
            self.assertRegex(mac, "^[0-9a-f]{64}$")

    def test_times_and_levels_that_mean_something_else_are_refused(self) -> None:
        for more in ({"exp": time.time() * 1000}, {"exp": -1}, {"exp": True}, {"exp": "7"}, {"stepped_up_at": 1e12}, {"aal": ""}, {"aal": "a b"}, {"aal": "a" * 33}):
            with self.subTest(more=more), self.assertRaises(ValueError):
                identity_token_v2(SECRET, "u_123", **more)  # type: ignore[arg-type]


class AtTheServer(unittest.TestCase):
    def setUp(self) -> None:
        self.client = shared().client()
        self.key = self.client.widget_keys.create(name="identity", domain_allowlist=[PAGE])
        self.visitor = Visitor(shared(), self.key["public_key"])

    def test_the_server_takes_both_proofs(self) -> None:
        secret, soon = self.key["identity_secret"], int(time.time()) + 300
        for user_id in ("u_123", "jörg@example.com", '"quoted" \\'):
            for token in (identity_token(secret, user_id), identity_token_v2(secret, user_id), identity_token_v2(secret, user_id, exp=soon, stepped_up_at=soon - 300, aal="aal2")):
                answer = self.visitor.identify(user_id=user_id, identity_token=token)
                self.assertEqual(answer.get("user_id"), user_id, answer)

    def test_the_server_refuses_a_proof_that_is_over_or_anothers(self) -> None:
        secret = self.key["identity_secret"]
        over = identity_token_v2(secret, "u_123", exp=int(time.time()) - 1)
        self.assertEqual(self.visitor.identify(user_id="u_123", identity_token=over)["error"]["code"], "identity_invalid")
        anothers = identity_token_v2(secret, "u_124")
        self.assertEqual(self.visitor.identify(user_id="u_123", identity_token=anothers)["error"]["code"], "identity_mismatch")


if __name__ == "__main__":
    unittest.main()
