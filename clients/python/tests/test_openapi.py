"""The client against the real server's own /openapi.json: every call has a method and every method a call, and both take and give the same fields.

What a method asks for is not read from its source: it is called, and a stand-in writes down what came.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
import unittest
import urllib.parse
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

from karta import Karta, KartaError, shapes

from real_server import shared
from stand_in import Asked, Says, StandIn, everything

#: Asked by browsers, each with a visitor's token; one call among them is for servers.
FOR_BROWSERS = ("/api/v1/widget/", "/widget/v1/", "/v1.js", "/embed.js")
FOR_SERVERS = "/api/v1/widget/auth/user-token"

#: What the document calls a shape, and what it is called here. Bodies of requests are parameters of methods, and held to those.
SHAPES: Dict[str, Any] = {
    "AddedDocumentView": shapes.AddedDocument,
    "AgentList": shapes.AgentPage,
    "AgentView": shapes.Agent,
    "Branding": shapes.WidgetSettings,
    "Caps": shapes.Caps,
    "CapsChange": shapes.CapsChange,
    "ConversationList": shapes.ConversationPage,
    "ConversationView": shapes.Conversation,
    "DocumentList": shapes.DocumentPage,
    "DocumentTextView": shapes.DocumentText,
    "DocumentView": shapes.Document,
    "FileView": shapes.VisitorFile,
    "Health": shapes.Health,
    "KeyList": shapes.WidgetKeyPage,
    "KeyView": shapes.WidgetKey,
    "NewKeyView": shapes.NewWidgetKey,
    "PolicyView": shapes.AgentWidgetSettings,
    "RotatedView": shapes.RotatedWidgetKey,
    "SessionEvent": shapes.Event,
    "Source": shapes.Source,
    "Tool": shapes.Tool,
    "TranscriptView": shapes.Transcript,
    "Usage": shapes.Usage,
    "UserTokenReply": shapes.UserToken,
}
ENUMS: Dict[str, Any] = {
    "AuthMode": shapes.AuthMode,
    "LauncherPosition": shapes.LauncherPosition,
    "StopReason": shapes.StopReason,
    "WhichSecret": shapes.WhichSecret,
}
#: An open list: a newer server may say more than this client knows.
OPEN_ENUMS = {"EventType"}
BODIES = {"AgentSettings", "ChangeBranding", "ChangeDocument", "ChangeKey", "ChangePolicy", "ContentForm", "CreateKey", "DocumentForm", "RotateSecret", "UserTokenRequest"}

Call = Tuple[str, str]


def of_servers(document: Dict[str, Any]) -> Dict[Call, Any]:
    """The calls that are for servers, with what the document says of each."""
    return {
        (method.upper(), path): said
        for path, methods in document["paths"].items()
        for method, said in methods.items()
        if path == FOR_SERVERS or not path.startswith(FOR_BROWSERS)
    }


def methods(client: Karta) -> Iterator[Tuple[str, Callable[..., Any]]]:
    """Every public method of the client and of its resources, by its full name."""
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if not name.startswith("_"):
            yield name, method
    for resource, value in vars(client).items():
        if not resource.startswith("_"):
            for name, method in inspect.getmembers(value, inspect.ismethod):
                if not name.startswith("_"):
                    yield f"{resource}.{name}", method


def arguments(method: Callable[..., Any]) -> Dict[str, Any]:
    """Something for every parameter. An id stands in the path as the document writes it."""
    odd: Dict[str, Any] = {"file": b"x", "name": "x.md", "file_id": "{file_id}", "agent_ids": ["x"], "domain_allowlist": ["x"], "page_size": 7, "limit": 7}
    return {name: odd.get(name, "{id}") for name in inspect.signature(method).parameters}


def asked_by(method: Callable[..., Any], server: StandIn) -> Asked:
    del server.asked[:]
    answer = method(**arguments(method))
    if inspect.isgenerator(answer):
        list(answer)
    [asked] = server.asked
    return asked


def call_of(asked: Asked) -> Call:
    return asked.method, urllib.parse.unquote(urllib.parse.urlsplit(asked.target).path)


def fields_of(asked: Asked) -> Set[str]:
    """Of its body: JSON or a form."""
    if asked.headers.get("content-type", "").startswith("multipart/"):
        return set(re.findall(r' name="(\w+)"', asked.body.decode()))
    return set(json.loads(asked.body)) if asked.body else set()


class TheClient(unittest.TestCase):
    maxDiff = None
    document: Dict[str, Any]
    calls: Dict[Call, Any]
    asked: Dict[str, Asked]

    @classmethod
    def setUpClass(cls) -> None:
        cls.document = shared().client().openapi()
        cls.calls = of_servers(cls.document)
        cls.asked = {}
        with StandIn(Says(200, everything())) as server:
            for name, method in methods(Karta(server.url, "adm_live_x", secret_key="sk_live_x")):
                cls.asked[name] = asked_by(method, server)

    def test_every_call_for_servers_has_a_method_and_every_method_a_call(self) -> None:
        self.assertEqual({call_of(asked) for asked in self.asked.values()}, set(self.calls))
        self.assertGreater(len(self.calls), 25)

    def test_each_call_has_one_method(self) -> None:
        # Those that go through all pages ask what `list` and `get` ask.
        single = [name for name in self.asked if ".iterate" not in name]
        self.assertEqual(len(single), len(self.calls), single)

    def test_each_method_takes_the_fields_of_its_call(self) -> None:
        for name, asked in self.asked.items():
            said = self.calls[call_of(asked)]
            with self.subTest(method=name):
                content = said.get("requestBody", {}).get("content", {})
                expected = {field for body in content.values() for field in self.properties(body["schema"])}
                self.assertEqual(fields_of(asked), expected)

    def test_each_list_is_asked_for_as_the_call_allows(self) -> None:
        for name, asked in self.asked.items():
            said = self.calls[call_of(asked)]
            query = {p["name"] for p in said.get("parameters", []) if p["in"] == "query"}
            sent = set(urllib.parse.parse_qs(urllib.parse.urlsplit(asked.target).query))
            with self.subTest(method=name):
                # The first page of all has no cursor yet.
                self.assertEqual(sent | ({"after"} if ".iterate" in name else set()), query)

    def test_each_call_carries_the_credential_that_it_takes_and_no_other(self) -> None:
        for name, asked in self.asked.items():
            [scheme] = [next(iter(one)) for one in self.calls[call_of(asked)].get("security", [])] or [None]
            # Of this client; `user_tokens.create` was given another one in its argument.
            expected = {"admin": "Bearer adm_live_x", "secret_key": "Bearer {id}", None: None}[scheme]
            with self.subTest(method=name):
                self.assertEqual(asked.headers.get("authorization"), expected)

    def test_shapes_have_the_fields_of_the_document(self) -> None:
        for schema, shape in SHAPES.items():
            with self.subTest(schema=schema):
                hints = typing.get_type_hints(shape)
                self.assertEqual(set(hints), set(self.properties({"$ref": f"#/components/schemas/{schema}"})))

    def test_enums_have_the_values_of_the_document(self) -> None:
        for schema, values in ENUMS.items():
            self.assertEqual(set(typing.get_args(values)), set(self.document["components"]["schemas"][schema]["enum"]), schema)

    def test_no_shape_is_missing(self) -> None:
        errors = {"ErrorBody", "ErrorDetail"}
        self.assertEqual(self.reachable(list(self.calls.values())), set(SHAPES) | set(ENUMS) | OPEN_ENUMS | BODIES | errors)

    def test_errors_have_the_fields_of_the_document(self) -> None:
        error = vars(KartaError("code", "message"))
        said = {name.replace("_seconds", "") for name in self.properties({"$ref": "#/components/schemas/ErrorDetail"})}
        self.assertEqual(set(error) - {"status"}, said)

    def properties(self, schema: Dict[str, Any]) -> List[str]:
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        own = list(schema.get("properties", {}))
        return own + [name for part in schema.get("allOf", []) for name in self.properties(part)]

    def reachable(self, value: Any) -> Set[str]:
        found: Set[str] = set()
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, list):
                waiting += one
            elif isinstance(one, dict):
                name = one.get("$ref", "").rpartition("/")[2] if isinstance(one.get("$ref"), str) else ""
                if name and name not in found:
                    found.add(name)
                    waiting.append(self.document["components"]["schemas"][name])
                waiting += list(one.values())
        return found


if __name__ == "__main__":
    unittest.main()
