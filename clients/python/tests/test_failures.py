"""What goes wrong: refusals, servers that are not there, break off, send on or talk nonsense; and what is tried again."""

from __future__ import annotations

import http.client
import json
import os
import pickle
import re
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
from typing import Any, Callable, Dict, List
from unittest import mock

from karta import Karta, KartaError

from real_server import RealServer, shared
from stand_in import Says, StandIn, refusal

OK = Says(200, {"status": "ok", "agents": []})


def break_off(handler: Any) -> None:
    """Without a word."""


def half(handler: Any) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"status"')


def half_a_chunk(handler: Any) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"status"')


def silence(handler: Any) -> None:
    """Until the client goes."""
    handler.connection.recv(1)


class Failures(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        #: What a call would have waited; nothing here waits.
        self.waits: List[float] = []
        patched = mock.patch("karta.server.sleep", self.waits.append)
        patched.start()
        self.addCleanup(patched.stop)

    def failure(self, call: Callable[[Karta], Any], *replies: Any, **more: Any) -> KartaError:
        with StandIn(*replies) as server:
            client = Karta(server.url, "adm_live_x", **more)
            with self.assertRaises(KartaError) as caught:
                call(client)
            self.asked = len(server.asked)
        return caught.exception


class Refusals(Failures):
    def test_a_refusal_has_code_message_status_and_request(self) -> None:
        with self.assertRaises(KartaError) as caught:
            shared().client().agents.create(name="x", temperature=3)
        error = caught.exception
        self.assertEqual((error.code, error.status, error.retry_after), ("request_invalid", 400, None))
        self.assertIn("temperature", error.message)
        self.assertRegex(str(error), rf"^request_invalid: {re.escape(error.message)} \(status 400, request r_\w+\)$")

    def test_a_wrong_token_is_refused_and_none_is_not_sent(self) -> None:
        with self.assertRaises(KartaError) as caught:
            Karta(shared().base_url, "adm_live_main_00").agents.list()
        self.assertEqual((caught.exception.code, caught.exception.status), ("admin_token_invalid", 401))
        for call in (lambda c: c.agents.list(), lambda c: c.conversations.get_file("s_1", "f_1"), lambda c: c.knowledge.delete("d_1")):
            with StandIn(OK) as server, self.assertRaises(KartaError) as missing:
                call(Karta(server.url))
            self.assertEqual(missing.exception.code, "admin_token_missing")
            self.assertEqual(server.asked, [])
        with self.assertRaises(KartaError) as keyless:
            Karta(shared().base_url).user_tokens.create(external_user_id="u_1")
        self.assertEqual(keyless.exception.code, "token_missing")

    def test_a_refusal_that_comes_before_the_file_is_sent_is_read(self) -> None:
        stranger = Karta(shared().base_url, "adm_live_main_00")
        with self.assertRaises(KartaError) as caught:
            stranger.knowledge.add(b"x" * 19_000_000, name="large.txt")
        self.assertEqual(caught.exception.code, "admin_token_invalid")
        with self.assertRaises(KartaError) as too_large:
            shared().client().knowledge.add(b"x" * 24_000_000, name="large.txt")
        self.assertEqual((too_large.exception.code, too_large.exception.status), ("payload_too_large", 413))

    def test_an_id_is_one_part_of_the_path(self) -> None:
        with StandIn(OK) as server:
            client = Karta(server.url + "/behind/a/proxy/", "adm_live_x")
            for odd in ("a/../b", "a?b#c", "a b%2F", "é\n", "..a", "a{b}"):
                client.agents.get(odd)
            self.assertEqual(
                [asked.target[len("/behind/a/proxy/api/v1/agents/"):] for asked in server.asked],
                ["a%2F..%2Fb", "a%3Fb%23c", "a%20b%252F", "%C3%A9%0A", "..a", "a%7Bb%7D"],
            )
            asked = len(server.asked)
            for empty in ("", ".", ".."):
                with self.assertRaises(ValueError):
                    client.agents.delete(empty)
            with self.assertRaises(TypeError):
                client.agents.delete(None)  # type: ignore[arg-type]
            self.assertEqual(len(server.asked), asked)

    def test_an_error_comes_whole_through_a_pickle(self) -> None:
        error = KartaError("rate_limited", "Wait.", status=429, request_id="r_1", retry_after=7)
        self.assertEqual(vars(pickle.loads(pickle.dumps(error))), vars(error))


class NoAnswer(Failures):
    def test_a_server_that_is_not_there_is_said_in_clear_words(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with self.assertRaises(KartaError) as caught:
                Karta(url, "adm_live_x").agents.list()
        error = caught.exception
        self.assertEqual((error.code, error.status, error.request_id), ("connection_failed", None, None))
        for words in (url, "Connection refused", "KARTA_BASE_URL"):
            self.assertIn(words, error.message)
        self.assertEqual(self.waits, [0.5, 1.0])

    def test_an_address_that_cannot_be_looked_up_is_no_crash(self) -> None:
        for host in ("a..b", "a" * 70 + ".example"):
            with self.subTest(host=host), self.assertRaises(KartaError) as caught:
                Karta(f"http://{host}", "adm_live_x", retries=0).agents.list()
            self.assertEqual(caught.exception.code, "connection_failed")

    def test_a_broken_answer_is_not_taken_for_a_whole_one(self) -> None:
        for reply in (break_off, half, half_a_chunk):
            error = self.failure(lambda client: client.health.alive(), reply, retries=0)
            self.assertEqual((error.code, error.status), ("connection_failed", None), reply)

    def test_a_server_that_says_nothing_is_waited_for_so_long(self) -> None:
        began = time.monotonic()
        error = self.failure(lambda client: client.agents.list(), silence, timeout=0.1)
        self.assertEqual(error.code, "timeout")
        self.assertIn("0.1 seconds", error.message)
        # Nobody waits three times as long for the same silence.
        self.assertEqual(self.asked, 1)
        self.assertLess(time.monotonic() - began, 5)

    def test_nonsense_is_named_as_such(self) -> None:
        for reply, status in (
            (Says(200, b"<html>Welcome</html>"), 200),
            (Says(200, b"[1]"), 200),
            (Says(200, b""), 200),
            (Says(500, b"<html>Bad gateway</html>"), 500),
            (Says(404, b'{"error": "no"}'), 404),
            (Says(400, b"[" * 100_000), 400),
        ):
            error = self.failure(lambda client: client.agents.list(), reply, retries=0)
            self.assertEqual((error.code, error.status), ("answer_invalid", status), reply.body[:20])

    def test_an_endless_answer_is_not_read_to_its_end(self) -> None:
        for reply in (Says(200, b"x" * 2000), lambda handler: handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 2000)):
            with mock.patch("karta.server.ANSWER_MAX_BYTES", 1000):
                error = self.failure(lambda client: client.conversations.get_file("s_1", "f_1"), reply, retries=0)
            self.assertIn("longer than 1000 bytes", error.message)

    def test_a_redirect_is_not_followed(self) -> None:
        with StandIn(OK) as elsewhere:
            for status in (301, 302, 303, 307, 308):
                error = self.failure(lambda client: client.agents.list(), Says(status, headers={"Location": f"http://u:secret@127.0.0.1:{elsewhere.port}/x?secret"}))
                self.assertEqual((error.code, error.status), ("redirected", status))
                self.assertIn(elsewhere.url, error.message)
                self.assertNotIn("secret", error.message)
            self.assertEqual(elsewhere.asked, [])
        for odd in ("http://[", "/login", "", "http://x:999999/"):
            self.assertEqual(self.failure(lambda client: client.agents.list(), Says(302, headers={"Location": odd})).code, "redirected")


class Again(Failures):
    def test_a_real_rate_limit_is_waited_for(self) -> None:
        server = RealServer(KARTA_LIMIT_REQUESTS_PER_ADDRESS="3/1s")
        self.addCleanup(server.stop)
        impatient = server.client(retries=0)
        with self.assertRaises(KartaError) as caught:
            for _ in range(9):
                impatient.agents.list()
        self.assertEqual((caught.exception.code, caught.exception.status), ("rate_limited", 429))
        self.assertGreaterEqual(caught.exception.retry_after or 0, 1)

        def wait(seconds: float) -> None:
            self.waits.append(seconds)
            time.sleep(seconds)

        patient = server.client()
        made: List[str] = []
        with mock.patch("karta.server.sleep", wait):
            while not self.waits and len(made) < 50:
                made.append(patient.agents.create(name=f"{len(made)}")["id"])
        self.assertEqual(self.waits, [1])
        self.assertEqual(len(list(patient.agents.iterate())), len(set(made)) + 1)

    def test_what_is_tried_again_and_after_how_long(self) -> None:
        overloaded, soon = refusal(503, "overloaded", retry_after_seconds=5), refusal(429, "rate_limited", retry_after_seconds=7)
        read, change, put = (lambda c: c.agents.list()), (lambda c: c.agents.update("a_1", name="x")), (lambda c: c.widget_settings.replace())
        make, rotate, remove = (lambda c: c.agents.create(name="x")), (lambda c: c.widget_keys.rotate("k_1", "secret_key")), (lambda c: c.agents.delete("a_1"))
        gateway = Says(502, b"<html>")
        for reply, call, waits in (
            # Refused before anything was done: any call.
            (soon, read, [7, 7]), (soon, make, [7, 7]), (soon, rotate, [7, 7]), (soon, remove, [7, 7]),
            (refusal(429, "rate_limited"), read, []), (refusal(429, "rate_limited", retry_after_seconds=-1), read, []),
            # Perhaps after something was done: what may be done twice.
            (overloaded, read, [5, 5]), (overloaded, change, [5, 5]), (overloaded, put, [5, 5]),
            (overloaded, make, []), (overloaded, rotate, []), (overloaded, remove, []),
            (refusal(503, "overloaded"), read, [0.5, 1.0]), (refusal(503, "overloaded"), change, []),
            (gateway, read, [0.5, 1.0]), (gateway, change, []),
            (break_off, read, [0.5, 1.0]), (break_off, change, []), (break_off, make, []),
            # Too long to wait for, or no use.
            (refusal(429, "rate_limited", retry_after_seconds=31), read, []),
            (refusal(503, "overloaded", retry_after_seconds=3600), read, []),
            (Says(503, b"<html>", {"Retry-After": "4"}), read, [4, 4]),
            (Says(503, b"<html>", {"Retry-After": "Sun, 29 Nov 2026 20:00:00 GMT"}), read, [0.5, 1.0]),
            (refusal(400, "request_invalid"), read, []), (refusal(401, "admin_token_invalid"), read, []), (refusal(500, "internal"), read, []),
        ):
            del self.waits[:]
            error = self.failure(call, reply)
            with self.subTest(error=str(error), waits=waits):
                self.assertEqual(self.waits, waits)
                self.assertEqual(self.asked, len(waits) + 1)

    def test_a_second_try_sends_the_same_and_its_answer_counts(self) -> None:
        with StandIn(refusal(429, "rate_limited", retry_after_seconds=1), Says(201, {"id": "d_1"})) as server:
            self.assertEqual(Karta(server.url, "adm_live_x").knowledge.add(b"text", name="a.txt"), {"id": "d_1"})
            first, second = server.asked
        self.assertEqual((first.body, first.headers), (second.body, second.headers))
        self.assertIn(b"text", second.body)

    def test_retries_can_be_switched_off(self) -> None:
        self.failure(lambda client: client.agents.list(), break_off, retries=0)
        self.assertEqual((self.asked, self.waits), (1, []))


class Ways(Failures):
    def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(self) -> None:
        with StandIn(OK) as proxy, StandIn(OK) as near, mock.patch.dict(os.environ, {"http_proxy": proxy.url, "no_proxy": ""}):
            Karta("http://agent.example", "adm_live_x").agents.list()
            self.assertEqual([asked.target for asked in proxy.asked], ["http://agent.example/api/v1/agents"])
            for host in ("127.0.0.1", "localhost"):
                Karta(f"http://{host}:{near.port}", "adm_live_x").agents.list()
            self.assertEqual((len(proxy.asked), len(near.asked)), (1, 2))

    def test_a_proxy_of_another_kind_gets_nothing(self) -> None:
        with StandIn(OK) as proxy, mock.patch.dict(os.environ, {"http_proxy": f"socks5://127.0.0.1:{proxy.port}", "no_proxy": ""}):
            with self.assertRaises(KartaError) as caught:
                Karta("http://agent.example", "adm_live_x", retries=0).agents.list()
            self.assertEqual((caught.exception.code, proxy.asked), ("connection_failed", []))
        self.assertIn("socks5", caught.exception.message)

    def test_a_long_body_is_sent_in_blocks_each_of_which_has_its_time(self) -> None:
        sent: List[int] = []
        send = http.client.HTTPConnection.send

        def counted(connection: http.client.HTTPConnection, data: Any) -> None:
            sent.append(len(data))
            send(connection, data)

        with StandIn(OK) as server, mock.patch.object(http.client.HTTPConnection, "send", counted):
            Karta(server.url, "adm_live_x").knowledge.add(b"x" * 1_000_000, name="x.txt")
            self.assertEqual(sent[0] + int(server.asked[0].headers["content-length"]), sum(sent))
        self.assertLess(max(sent), 100_000)

    def test_a_certificate_must_be_trusted(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            pem = os.path.join(folder, "localhost.pem")
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", pem, "-out", pem + ".crt", "-days", "2",
                 "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            serving.load_cert_chain(pem + ".crt", pem)
            with StandIn(OK, tls=serving) as server:
                trusting = ssl.create_default_context(cafile=pem + ".crt")
                client = Karta(server.url, "adm_live_x", ssl_context=trusting)
                self.assertEqual(client.health.alive()["status"], "ok")
                client.agents.list()
                self.assertEqual(server.asked[-1].headers["authorization"], "Bearer adm_live_x")
                asked = len(server.asked)
                with self.assertRaises(KartaError) as caught:
                    Karta(server.url, "adm_live_x", retries=0).agents.list()
                self.assertEqual(caught.exception.code, "connection_failed")
                self.assertIn("certificate is not trusted", caught.exception.message)
                self.assertEqual(len(server.asked), asked)

    def test_settings_come_from_the_environment_unless_they_are_given(self) -> None:
        with StandIn(OK) as server:
            variables = {"KARTA_BASE_URL": server.url, "KARTA_ADMIN_TOKEN": "adm_live_env\n", "KARTA_SECRET_KEY": "sk_live_env"}
            with mock.patch.dict(os.environ, variables):
                Karta().agents.list()
                Karta(admin_token="adm_live_given").agents.list()
                Karta().user_tokens.create(external_user_id="u_1")
            self.assertEqual([asked.headers["authorization"] for asked in server.asked], ["Bearer adm_live_env", "Bearer adm_live_given", "Bearer sk_live_env"])
        empty: Dict[str, str] = {"KARTA_BASE_URL": "", "KARTA_ADMIN_TOKEN": ""}
        with mock.patch.dict(os.environ, empty):
            with self.assertRaises(ValueError):
                Karta()
            self.assertIn("admin_token=None", repr(Karta("http://127.0.0.1:1")))

    def test_odd_settings_are_refused_before_anything_is_sent(self) -> None:
        for odd in ("", "agent.example", "ftp://agent.example", "file:///etc/passwd", "http://", "http://a b", "http://a\nb", "http://a:99999", "http://a:0", "http://a:x",
                    "http://u:p@a", "http://a?x", "http://a#x", "http://a\\b", "http://é", "http://[::1", "https:agent.example"):
            with self.subTest(base_url=odd), self.assertRaises(ValueError):
                Karta(odd, "adm_live_x")
        for more in ({"timeout": 0}, {"timeout": -1}, {"timeout": float("nan")}, {"timeout": float("inf")}, {"retries": -1}):
            with self.subTest(more=more), self.assertRaises(ValueError):
                Karta("http://127.0.0.1:1", "adm_live_x", **more)  # type: ignore[arg-type]
        with self.assertRaises(ValueError):
            # What JSON cannot say.
            Karta("http://127.0.0.1:1", "adm_live_x").agents.create(name="x", temperature=float("nan"))

    def test_the_request_says_who_asks_and_what_for(self) -> None:
        with StandIn(OK) as server:
            Karta(server.url, "adm_live_x").agents.update("a_1", name="é", greeting=None)
            [asked] = server.asked
        self.assertRegex(asked.headers["user-agent"], r"^karta-python/\d+\.\d+\.\d+$")
        self.assertEqual(asked.headers["content-type"], "application/json")
        self.assertEqual(json.loads(asked.body), {"name": "é", "greeting": None})


if __name__ == "__main__":
    unittest.main()
