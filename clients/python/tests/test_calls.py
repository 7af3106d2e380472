"""Every resource against the real server: what is sent takes effect, and answers have the shapes that they are typed with."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List

import karta
from karta import UNSET, KartaError, shapes

from conforms import problems
from real_server import PAGE, ROOT, Visitor, shared, until

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c626001000000050001"
    "0d0a2db40000000049454e44ae426082"
)


class Calls(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.client = shared().client()

    def shaped(self, value: Any, shape: Any) -> Any:
        self.assertEqual(problems(value, shape), [])
        return value

    def refused(self, code: str, call: Any, *arguments: Any, **more: Any) -> KartaError:
        with self.assertRaises(KartaError) as caught:
            call(*arguments, **more)
        self.assertEqual(caught.exception.code, code)
        self.assertRegex(caught.exception.request_id or "", "^r_")
        return caught.exception


class WidgetKeys(Calls):
    def test_a_key_is_made_changed_rotated_and_deleted(self) -> None:
        keys = self.client.widget_keys
        agent = self.client.agents.create(name="Pinned")["id"]
        made = self.shaped(keys.create(name="One", domain_allowlist=[PAGE], agent_id=agent, caps={"anonymous_turns": 20}), shapes.NewWidgetKey)
        self.assertRegex(made["secret_key"], "^sk_live_")
        kept = self.shaped(keys.get(made["public_key"]), shapes.WidgetKey)
        self.assertEqual(kept, {name: value for name, value in made.items() if name not in ("secret_key", "identity_secret")})

        changed = self.shaped(
            keys.update(made["id"], agent_id=None, enabled=False, caps={"tokens_per_day": 5, "spend_per_day": None}), shapes.WidgetKey
        )
        self.assertEqual((changed["agent_id"], changed["enabled"], changed["name"]), (None, False, "One"))
        self.assertEqual((changed["caps"]["tokens_per_day"], changed["caps"]["anonymous_turns"]), (5, 20))

        rotated = self.shaped(keys.rotate(made["id"], "identity_secret", now=True), shapes.RotatedWidgetKey)
        self.assertNotEqual(rotated["identity_secret"], made["identity_secret"])
        self.assertEqual(rotated["old_until_ms"], None)
        self.assertNotIn("secret_key", rotated)
        self.assertGreater(self.shaped(keys.rotate(made["id"], "secret_key"), shapes.RotatedWidgetKey)["old_until_ms"] or 0, 0)

        self.assertIsNone(keys.delete(made["id"]))
        self.assertEqual(self.refused("not_found", keys.get, made["id"]).status, 404)

    def test_a_list_of_origins_is_not_one_text(self) -> None:
        for call in (
            lambda: self.client.widget_keys.create(name="x", domain_allowlist=PAGE),
            lambda: self.client.widget_keys.update("k_x", domain_allowlist=PAGE),
        ):
            with self.assertRaises(TypeError):
                call()

    def test_what_is_unset_is_left_and_none_is_cleared(self) -> None:
        made = self.client.agents.create(name="Set", greeting="Hi", retention_days=30)
        left = self.client.agents.update(made["id"], name="Other", greeting=UNSET)
        self.assertEqual((left["greeting"], left["retention_days"]), ("Hi", 30))
        cleared = self.client.agents.update(made["id"], greeting=None, retention_days=None)
        self.assertEqual((cleared["greeting"], cleared["retention_days"], cleared["name"]), (None, None, "Other"))
        # Where there is nothing to clear, the server's own words.
        self.refused("request_invalid", self.client.agents.update, made["id"], name=None)


class WidgetSettings(Calls):
    def test_the_look_is_changed_field_by_field_or_replaced(self) -> None:
        settings = self.client.widget_settings
        settings.replace(primary_color="#2563eb", launcher_position="tl", footer="Us")
        self.shaped(settings.get(), shapes.WidgetSettings)
        changed = self.shaped(settings.update(footer=None, mode="dark"), shapes.WidgetSettings)
        self.assertEqual(changed, {"primary_color": "#2563eb", "launcher_position": "tl", "mode": "dark"})
        self.assertEqual(settings.get(), changed)
        self.assertEqual(settings.replace(launcher_label="Talk"), {"launcher_label": "Talk"})
        self.refused("request_invalid", settings.update, primary_color="blue")

    def test_an_agents_policy_is_its_own(self) -> None:
        agent = self.client.agents.create(name="Policy")["id"]
        settings = self.client.widget_settings
        changed = self.shaped(settings.update_agent(agent, auth_mode="user"), shapes.AgentWidgetSettings)
        self.assertEqual(changed, {"widget_enabled": True, "auth_mode": "user"})
        self.assertEqual(settings.update_agent(agent_id=agent, widget_enabled=False)["auth_mode"], "user")
        self.assertEqual(settings.get_agent(agent), {"widget_enabled": False, "auth_mode": "user"})


class Agents(Calls):
    def test_an_agent_has_every_setting(self) -> None:
        # One for every agent needs no tick.
        other = self.client.agents.create(name="Other")["id"]
        document = self.client.knowledge.add(b"# Ticked\n\nText.\n", name="a.md", agent_ids=[other])["id"]
        everything: Dict[str, Any] = dict(
            name="Ada", avatar_url="https://www.example.com/a.png", greeting="Hi", suggested_prompts=["Where?"], instruction="Be brief.", runtime="openai",
            model="m", temperature=0.5, max_tokens=2000, input_price="0.15", output_price="0.60", response_delay_ms=1500, retention_days=90, voice="local",
            voice_minute_price="0.06", upload_enabled=True, widget_enabled=False, auth_mode="user", knowledge=[document],
            tools=[{"name": "cancel", "title": "Cancel", "description": "Cancels.", "url": "https://shop.example/cancel", "confirm": True}],
        )
        made: Any = self.shaped(self.client.agents.create(**everything), shapes.Agent)
        everything["tools"][0]["parameters"] = {"type": "object", "properties": {}}
        everything["output_price"] = "0.6"
        self.assertEqual({name: made[name] for name in everything}, everything)
        self.assertEqual(self.client.agents.get(made["id"]), made)
        self.assertEqual(self.client.agents.update(made["id"], tools=[], knowledge=[], voice="off")["tools"], [])
        self.assertIsNone(self.client.agents.delete(made["id"]))
        self.refused("not_found", self.client.agents.get, made["id"])

    def test_an_agent_in_use_stays(self) -> None:
        agent = self.client.agents.create(name="In use")["id"]
        self.client.widget_keys.create(name="pins", domain_allowlist=[PAGE], agent_id=agent)
        self.assertEqual(self.refused("agent_in_use", self.client.agents.delete, agent).status, 409)

    def test_lists_come_in_pages_and_are_gone_through(self) -> None:
        made = [self.client.agents.create(name=f"Page {n}")["id"] for n in range(5)]
        first = self.shaped(self.client.agents.list(limit=2), shapes.AgentPage)
        self.assertEqual(len(first["agents"]), 2)
        second = self.client.agents.list(limit=2, after=first["next"])
        self.assertFalse({one["id"] for one in first["agents"]} & {one["id"] for one in second["agents"]})
        for page_size in (1, 2, 100):
            all_of_them = [agent["id"] for agent in self.client.agents.iterate(page_size=page_size)]
            self.assertEqual(len(all_of_them), len(set(all_of_them)))
            self.assertEqual([one for one in all_of_them if one in made], made)
        self.assertNotIn("next", self.client.agents.list(limit=100))
        for items, shape in (
            (self.client.widget_keys.iterate(), shapes.WidgetKey),
            (self.client.agents.iterate(), shapes.Agent),
            (self.client.knowledge.iterate(), shapes.Document),
            (self.client.conversations.iterate(), shapes.Conversation),
        ):
            for one in items:
                self.shaped(one, shape)


class Knowledge(Calls):
    def test_a_document_comes_by_path_or_as_bytes(self) -> None:
        knowledge = self.client.knowledge
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, 'Größe "1" 50%.md')
            file.write_text("No heading here.\n", encoding="utf-8")
            for given in (file, str(file)):
                # Quotes come as browsers send them.
                self.assertEqual(knowledge.add(given)["title"], "Größe %221%22 50%")
        added = self.shaped(knowledge.add(b"# Shipping\n\nTwo days.\n", name="shipping.md"), shapes.AddedDocument)
        self.assertEqual((added["title"], added["agent_ids"], added["replaced"]), ("Shipping", None, False))
        self.assertEqual(self.shaped(knowledge.get(added["id"]), shapes.DocumentText)["text"].strip(), "# Shipping\n\nTwo days.")
        self.assertTrue(knowledge.add(b"# Shipping\n\nThree days.\n", name="shipping.md")["replaced"])

    def test_pdf_and_word_are_read(self) -> None:
        for name in ("returns.pdf", "shipping.docx"):
            added = self.client.knowledge.add(ROOT / "fixtures/documents" / name, title=f"From {name}")
            self.assertEqual(added["title"], f"From {name}")
            self.assertGreater(added["passages"], 0)

    def test_a_name_of_ones_own_wins_over_the_paths(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "upload.tmp")
            file.write_bytes(b"Plain.")
            self.assertEqual(self.client.knowledge.add(file, name="Opening hours.txt", title=None)["title"], "Opening hours")

    def test_whom_a_document_is_for_is_said_and_taken_back(self) -> None:
        one, other = (self.client.agents.create(name=name)["id"] for name in ("One", "Other"))
        added = self.client.knowledge.add(b"Both.", name="both.txt", title="For two", agent_ids=[one, other])
        self.assertEqual(set(added["agent_ids"] or []), {one, other})
        changed = self.shaped(self.client.knowledge.update(added["id"], agent_ids=[one]), shapes.Document)
        self.assertEqual(changed["agent_ids"], [one])
        self.assertIsNone(self.client.knowledge.update(added["id"], agent_ids=None)["agent_ids"])

    def test_a_document_for_nobody_in_particular_is_not_made_for_everybody(self) -> None:
        with self.assertRaises(ValueError):
            self.client.knowledge.add(b"x", name="x.txt", agent_ids=[])
        with self.assertRaises(TypeError):
            self.client.knowledge.add(b"x", name="x.txt", agent_ids="a_first")

    def test_content_changes_and_a_title_stays(self) -> None:
        added = self.client.knowledge.add(b"Old.", name="a.txt", title="Stays")
        replaced = self.shaped(self.client.knowledge.replace(added["id"], b"# New heading\n\nNew.", name="b.md"), shapes.AddedDocument)
        self.assertEqual((replaced["id"], replaced["title"]), (added["id"], "Stays"))
        self.assertIn("New.", self.client.knowledge.get(added["id"])["text"])
        self.assertIsNone(self.client.knowledge.delete(added["id"]))
        self.refused("not_found", self.client.knowledge.get, added["id"])

    def test_bytes_need_a_name_and_a_path_must_be_there(self) -> None:
        with self.assertRaises(ValueError):
            self.client.knowledge.add(b"x")
        with self.assertRaises(FileNotFoundError):
            self.client.knowledge.add("/nowhere/at-all.md")

    def test_a_document_that_cannot_be_read_is_refused_in_the_servers_words(self) -> None:
        error = self.refused("request_invalid", self.client.knowledge.add, b"x", name="x.exe")
        self.assertIn(".docx", str(error))


class Conversations(Calls):
    def test_what_was_said_and_sent_is_read(self) -> None:
        agent = self.client.agents.create(name="Clerk", upload_enabled=True)["id"]
        self.client.knowledge.add(b"# Parcels\n\nParcels take two days.\n", name="parcels.md", agent_ids=[agent])
        key = self.client.widget_keys.create(name="shop", domain_allowlist=[PAGE], agent_id=agent)
        visitor = Visitor(shared(), key["public_key"])
        session = visitor.ask("How long do parcels take?")
        conversations = self.client.conversations
        events: List[Any] = until(lambda: self.answered(session), "an answer")
        self.assertEqual(events[0]["text"], "How long do parcels take?")
        self.assertTrue(any(event["type"] == "agent.message" and "two days" in event["text"] for event in events), events)

        sent = visitor.send_file(session, "kitten 1.png", PNG)
        whole = self.shaped(conversations.get(session), shapes.Transcript)
        self.assertEqual((whole["agent_id"], whole["verified"]), (agent, False))
        self.assertEqual([file["name"] for file in whole["files"]], ["kitten 1.png"])
        self.assertEqual(conversations.get_file(session, sent["id"]), PNG)
        self.refused("not_found", conversations.get_file, session, "f_none")

        page = conversations.get(session, limit=1)
        self.assertEqual((len(page["log"]), page["next"]), (1, 1))
        self.assertEqual(conversations.get(session, limit=1, after=page["next"])["log"], whole["log"][1:2])
        for page_size in (1, 2, 500):
            self.assertEqual(list(conversations.iterate_log(session, page_size=page_size)), whole["log"])
        self.assertEqual(conversations.list(limit=1)["conversations"][0]["id"], session)

    def answered(self, session: str) -> Any:
        events = list(self.client.conversations.iterate_log(session))
        return any(event["type"] == "session.status_idle" for event in events) and events


class UserTokens(Calls):
    def test_a_backend_mints_a_token_and_the_page_exchanges_it_once(self) -> None:
        key = self.client.widget_keys.create(name="backend", domain_allowlist=[PAGE])
        visitor = Visitor(shared(), key["public_key"])
        by_client = self.client.user_tokens.create(external_user_id="u_1", secret_key=key["secret_key"], display_name="Jo", email="jo@example.com")
        by_function = karta.mint_user_token(external_user_id=1, secret_key=key["secret_key"], base_url=shared().base_url)
        without_admin = karta.Karta(shared().base_url, secret_key=key["secret_key"]).user_tokens.create(external_user_id="u_2")
        for minted, user_id in ((by_client, "u_1"), (by_function, "1"), (without_admin, "u_2")):
            self.shaped(minted, shapes.UserToken)
            self.assertEqual(minted["expires_in"], 300)
            self.assertEqual(visitor.identify(user_token=minted["user_token"]).get("user_id"), user_id)
        self.assertEqual(visitor.identify(user_token=by_client["user_token"])["error"]["code"], "token_used")
        self.refused("client_key_unknown", self.client.user_tokens.create, external_user_id="u_1", secret_key=key["public_key"])


class Health(Calls):
    def test_health_and_the_document_need_no_token(self) -> None:
        client = karta.Karta(shared().base_url)
        self.assertEqual(self.shaped(client.health.alive(), shapes.Health), {"status": "ok"})
        self.assertEqual(self.shaped(client.health.ready(), shapes.Health), {"status": "ready"})
        self.assertIn("/api/v1/agents", client.openapi()["paths"])


if __name__ == "__main__":
    unittest.main()
