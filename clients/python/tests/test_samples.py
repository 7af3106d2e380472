"""The samples, and the Python of the guides, run as they are printed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

from karta import shapes

from conforms import problems
from real_server import PAGE, ROOT, Visitor, shared

HERE = Path(__file__).resolve().parents[1]
#: What a sample leaves to its reader.
PLACEHOLDER = "<agent uuid>"


class Printed(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.client = shared().client()
        self.agent = self.client.agents.create(name="Ada")["id"]
        variables = {"KARTA_BASE_URL": shared().base_url, "KARTA_ADMIN_TOKEN": shared().admin_token}
        patched = mock.patch.dict(os.environ, variables)
        patched.start()
        self.addCleanup(patched.stop)

    def run_text(self, source: str, name: str, **scope: Any) -> Dict[str, Any]:
        """What its variables are in the end."""
        self.printed = io.StringIO()
        with contextlib.redirect_stdout(self.printed):
            exec(compile(source, name, "exec"), scope)
        return scope


class Samples(Printed):
    def run_sample(self, name: str) -> Dict[str, Any]:
        source = (HERE / "samples" / name).read_text(encoding="utf-8")
        self.assertIn(PLACEHOLDER, source)
        return self.run_text(source.replace(PLACEHOLDER, self.agent), name)

    def test_a_key_is_minted_and_both_halves_are_printed(self) -> None:
        created = self.run_sample("mint_a_key.py")["created"]
        self.assertEqual(self.printed.getvalue(), f"PUBLIC: {created['public_key']}\nSECRET: {created['secret_key']}\n")
        self.assertRegex(created["public_key"], r"^pk_live_main_\w+$")
        kept = self.client.widget_keys.get(created["public_key"])
        self.assertEqual((kept["name"], kept["agent_id"]), ("acme.com production", self.agent))
        # And the page may use it.
        self.assertIn("token", Visitor(shared(), created["public_key"], "https://www.acme.com").come())

    def test_key_look_and_policy_are_set(self) -> None:
        created = self.run_sample("widget_settings.py")["created"]
        self.assertEqual(self.printed.getvalue().split(), [created["public_key"], created["secret_key"]])
        look = self.client.widget_settings.get()
        expected = {
            "primary_color": "#2563eb", "accent_color": "#7c3aed", "logo_url": "https://acme.com/logo.svg", "launcher_position": "br",
            "launcher_label": "Talk to us", "privacy_notice": "Calls may be recorded for quality.",
        }
        self.assertEqual({**look, **expected}, look)
        self.assertEqual(self.client.widget_settings.get_agent(self.agent), {"widget_enabled": True, "auth_mode": "both"})

    def test_the_fixes_for_refused_pages_are_calls_of_the_client(self) -> None:
        key = self.client.widget_keys.create(name="shop", domain_allowlist=["https://other.example"], agent_id=self.agent)
        visitor = Visitor(shared(), key["public_key"])

        def code() -> str:
            return str(visitor.come().get("error", {}).get("code", "let in"))

        self.assertEqual(code(), "origin_not_allowed")
        self.client.widget_keys.update(key["id"], domain_allowlist=[PAGE])
        self.assertEqual(code(), "let in")
        self.client.widget_settings.update_agent(agent_id=self.agent, widget_enabled=False)
        self.assertEqual(code(), "widget_disabled_for_agent")
        self.client.widget_settings.update_agent(agent_id=self.agent, widget_enabled=True, auth_mode="user")
        self.assertEqual(code(), "guest_not_allowed")
        minted = self.client.user_tokens.create(secret_key=key["secret_key"], external_user_id="u_1")
        self.assertEqual(visitor.identify(user_token=minted["user_token"])["user_id"], "u_1")
        self.client.widget_keys.update(key["public_key"], enabled=False)
        self.assertEqual(code(), "client_key_disabled")
        self.client.widget_keys.update(key["public_key"], enabled=True)
        self.client.widget_settings.update_agent(self.agent, auth_mode="both")
        self.assertEqual(code(), "let in")


class Guides(Printed):
    """Each guide's blocks run in order, as one script would."""

    def blocks(self, guide: Path) -> List[str]:
        return re.findall(r"^```python\n(.*?)^```", guide.read_text(encoding="utf-8"), re.M | re.S)

    def check(self, guide: Path, at_least: int) -> None:
        blocks = self.blocks(guide)
        self.assertGreaterEqual(len(blocks), at_least, guide)
        key = self.client.widget_keys.create(name="guide", domain_allowlist=[PAGE])
        variables = {"KARTA_SECRET_KEY": key["secret_key"], "KARTA_IDENTITY_SECRET": key["identity_secret"]}
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, variables):
            Path(folder, "shipping.md").write_text("# Shipping\n\nTwo days.\n", encoding="utf-8")
            os.chdir(folder)
            try:
                text = "\n".join(blocks)
                for printed, meant in (("https://agent.example", shared().base_url), ("adm_live_…", shared().admin_token), (PLACEHOLDER, self.agent)):
                    text = text.replace(printed, meant)
                self.scope = self.run_text(text, guide.name, user_id="u_1")
            finally:
                os.chdir(before)

    def test_the_readme_runs(self) -> None:
        self.check(HERE / "README.md", 3)

    def test_the_operators_guide_runs(self) -> None:
        self.check(ROOT / "docs/OPERATING.md", 1)
        self.assertEqual(problems(self.scope["created"], shapes.NewWidgetKey), [])


if __name__ == "__main__":
    unittest.main()
