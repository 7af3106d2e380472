"""The package itself: what it offers, what it needs, and that it says so."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import unittest
from pathlib import Path
from typing import Set

import karta
from karta import Karta

from real_server import ROOT

PACKAGE = Path(karta.__file__).resolve().parent
#: Newer than the oldest Python that is promised, 3.9.
STANDARD_LIBRARY = {
    "__future__", "base64", "binascii", "enum", "hashlib", "hmac", "http", "io", "ipaddress", "json", "os", "secrets", "socket", "ssl", "time", "typing", "unicodedata",
    "urllib",
}


def imports(source: str) -> Set[str]:
    """Of other packages."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {(node.module or "").partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}


class Package(unittest.TestCase):
    def test_it_needs_the_standard_library_only(self) -> None:
        sources = [file.read_text(encoding="utf-8") for file in PACKAGE.rglob("*.py")]
        self.assertGreater(len(sources), 15)
        self.assertEqual(set().union(*map(imports, sources)), STANDARD_LIBRARY)
        self.assertIn("dependencies = []", (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))

    def test_every_file_can_be_read_by_the_oldest_python_that_is_promised(self) -> None:
        for file in PACKAGE.rglob("*.py"):
            ast.parse(file.read_text(encoding="utf-8"), file.name, feature_version=(3, 9))
        promised = re.search(r'requires-python = ">=(\d+)\.(\d+)"', (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
        self.assertEqual(promised and promised.groups(), ("3", "9"))
        self.assertGreaterEqual(sys.version_info[:2], (3, 9))

    def test_its_version_is_the_servers(self) -> None:
        found = re.search(r'^\[workspace\.package\]\n(?:.*\n)*?version = "(.*)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.M)
        self.assertEqual(karta.__version__, found and found.group(1))

    def test_what_it_offers_is_frozen(self) -> None:
        self.assertEqual(
            karta.__all__,
            ["UNSET", "Karta", "KartaError", "Unset", "__version__", "identity_token", "identity_token_v2", "mint_user_token"],
        )
        client = Karta("http://127.0.0.1:1")
        offered = {
            f"{resource}.{name}" for resource, value in vars(client).items() if not resource.startswith("_") for name, _ in inspect.getmembers(value, inspect.ismethod)
            if not name.startswith("_")
        }
        self.assertEqual(offered, {
            "agents.create", "agents.delete", "agents.get", "agents.iterate", "agents.list", "agents.update",
            "conversations.get", "conversations.get_file", "conversations.iterate", "conversations.iterate_log", "conversations.list",
            "health.alive", "health.ready",
            "knowledge.add", "knowledge.delete", "knowledge.get", "knowledge.iterate", "knowledge.list", "knowledge.replace", "knowledge.update",
            "user_tokens.create",
            "widget_keys.create", "widget_keys.delete", "widget_keys.get", "widget_keys.iterate", "widget_keys.list", "widget_keys.rotate", "widget_keys.update",
            "widget_settings.get", "widget_settings.get_agent", "widget_settings.replace", "widget_settings.update", "widget_settings.update_agent",
        })

    def test_it_is_typed_throughout(self) -> None:
        self.assertTrue((PACKAGE / "py.typed").exists())
        for file in PACKAGE.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                    bare = [one.arg for one in arguments if one.annotation is None and one.arg not in ("self", "cls")]
                    self.assertEqual((bare, node.returns is None), ([], False), f"{file.name}: {node.name}")


if __name__ == "__main__":
    unittest.main()
