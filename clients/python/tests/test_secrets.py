"""Tokens, keys and secrets show themselves nowhere: in no repr, error, log line or traceback, not even in one that prints local variables."""

from __future__ import annotations

import contextlib
import http.client
import io
import logging
import os
import pickle
import traceback
import unittest
import urllib.request
from typing import Any, Callable, Dict, Iterator, List
from unittest import mock

import karta
from karta import Karta

from stand_in import Says, StandIn, refusal

#: None of it could be a number that Python prints, as an object's address is.
TOKEN, KEY, IDENTITY = "adm_live_main_hush", "sk_live_main_hush", "is_live_main_hush"


def raised_by(call: Callable[[], Any]) -> BaseException:
    """Not `assertRaises`: that empties the frames, and they are what is looked at here."""
    try:
        call()
    except (karta.KartaError, ValueError, TypeError) as error:
        return error
    raise AssertionError("nothing was raised")


def shown_by(error: BaseException) -> str:
    """All that a reporter of errors would write down of this package's part: words, causes, frames with their local variables."""
    text: List[str] = []
    at: Any = error
    while at is not None:
        text += [str(at), repr(at), repr(vars(at))]
        report = traceback.TracebackException(type(at), at, at.__traceback__, capture_locals=True)
        # The frames of these tests hold the secrets that they gave.
        ours = [frame for frame in report.stack if not frame.filename.startswith(os.path.dirname(__file__))]
        text += [repr(frame.locals) for frame in ours]
        at = at.__cause__ or at.__context__
    return "\n".join(text)


@contextlib.contextmanager
def everything_printed() -> Iterator[io.StringIO]:
    """What goes to the terminal and to the log, with every switch for more of it on."""
    printed = io.StringIO()
    handler = logging.StreamHandler(printed)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), mock.patch.object(http.client.HTTPConnection, "debuglevel", 1):
            yield printed
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


class Secrets(unittest.TestCase):
    def hidden(self, text: str) -> None:
        self.assertNotIn("hush", text)

    def test_no_failure_shows_one(self) -> None:
        def silent(handler: Any) -> None:
            handler.connection.recv(1)

        by_reply: Dict[str, Any] = {
            "refused": refusal(401, "admin_token_invalid"), "nonsense": Says(500, b"<html>"), "redirected": Says(302, headers={"Location": "/x"}),
            "broken": lambda handler: None, "silent": silent,
        }
        calls: List[Callable[[Karta], Any]] = [
            lambda client: client.agents.list(),
            lambda client: client.knowledge.add(b"x", name="x.txt"),
            lambda client: client.conversations.get_file("s_1", "f_1"),
            lambda client: client.user_tokens.create(external_user_id="u_1"),
            lambda client: client.user_tokens.create(external_user_id="u_1", secret_key=KEY),
            lambda client: karta.mint_user_token(external_user_id="u_1", secret_key=KEY, base_url=client._server.base_url, timeout=client._server._timeout),
        ]
        for name, reply in by_reply.items():
            for number, call in enumerate(calls):
                with self.subTest(reply=name, call=number):
                    with StandIn(reply) as server, everything_printed() as printed:
                        client = Karta(server.url, TOKEN, secret_key=KEY, retries=0, timeout=0.05 if name == "silent" else 5)
                        error = raised_by(lambda: call(client))
                    self.assertIsInstance(error, karta.KartaError)
                    self.hidden(shown_by(error))
                    self.hidden(printed.getvalue())

    def test_no_wrong_argument_shows_one(self) -> None:
        calls: List[Callable[[], Any]] = [
            lambda: Karta("http://127.0.0.1:1", TOKEN + "\u00e9"),
            lambda: Karta("http://127.0.0.1:1", "adm live\nhush"),
            lambda: Karta("http://127.0.0.1:1", "adm\udcff_hush"),
            lambda: Karta("http://127.0.0.1:1", secret_key="sk live hush"),
            lambda: Karta("http://127.0.0.1:1", TOKEN.encode()),  # type: ignore[arg-type]
            lambda: Karta("no address", TOKEN, secret_key=KEY),
            lambda: Karta("http://127.0.0.1:1", TOKEN, timeout=0),
            lambda: Karta("http://127.0.0.1:1", TOKEN).agents.create(name="x", temperature=float("nan")),
            lambda: Karta("http://127.0.0.1:1", TOKEN).agents.get(""),
            lambda: Karta("http://127.0.0.1:1", TOKEN).user_tokens.create(external_user_id="u", secret_key="sk live hush"),
            lambda: karta.mint_user_token(external_user_id="u", secret_key="sk live hush", base_url="http://127.0.0.1:1"),
            lambda: karta.mint_user_token(external_user_id="u", secret_key=KEY, base_url="no address"),
            lambda: karta.identity_token(TOKEN, "u"),
            lambda: karta.identity_token(IDENTITY + " x", "u"),
            lambda: karta.identity_token(IDENTITY, ""),
            lambda: karta.identity_token(IDENTITY, "\ud800"),
            lambda: karta.identity_token_v2(IDENTITY, "u", exp=-1),
            lambda: karta.identity_token_v2(IDENTITY, "u", aal=""),
        ]
        for number, call in enumerate(calls):
            with self.subTest(call=number):
                error = raised_by(call)
                self.assertIn(type(error), (ValueError, TypeError))
                self.hidden(shown_by(error))
        # An address may hold a password. It is refused, in words that do not repeat it.
        for odd in (f"http://user:{KEY}@127.0.0.1:1", f"http://user:{KEY}@[", f"user:{KEY}@127.0.0.1"):
            self.hidden(repr(raised_by(lambda: Karta(odd, TOKEN))))

    def test_no_object_shows_one(self) -> None:
        client = Karta("https://agent.example", TOKEN, secret_key=KEY)
        self.assertEqual(repr(client), "Karta('https://agent.example', admin_token=***)")
        waiting: List[Any] = [client]
        seen = set()
        while waiting:
            one = waiting.pop()
            if id(one) not in seen and type(one).__module__.startswith("karta"):
                seen.add(id(one))
                self.hidden(repr(one) + str(one) + f"{one}")
                waiting += getattr(one, "__dict__", {}).values()
        self.assertGreater(len(seen), 8)
        with self.assertRaises(TypeError):
            pickle.dumps(client)

    def test_the_net_of_these_tests_catches_something(self) -> None:
        scope: Dict[str, Any] = {}
        exec(compile("def careless(admin_token): raise ValueError('No.')", "elsewhere.py", "exec"), scope)
        self.assertIn("hush", shown_by(raised_by(lambda: scope["careless"](TOKEN))))
        with everything_printed() as printed, StandIn(Says(200, b"{}")) as server:
            request = urllib.request.Request(server.url, headers={"Authorization": TOKEN})
            urllib.request.build_opener(urllib.request.HTTPHandler(debuglevel=1)).open(request).close()
        self.assertIn("hush", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
