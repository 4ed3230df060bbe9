"""Outgoing mail of subscriptions, received by an SMTP server of a few lines."""

import asyncio
import email
import json
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from psrlib.errors import InputError
from psrlib.hub.events.mail import MailServer, parse_smtp
from psrlib.hub.events.webhooks import deliver_waiting
from psrlib.hub.process.hub_process import start_hub
from psrlib.hub.process.snapshots import restore_snapshot, save_snapshot

SUBSCRIBE = "/notification/rest/v1/eventsub/createEventSub"


class Mailbox:
    """An SMTP server that takes mail, or refuses every recipient; it runs on the given event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, refuse: bool = False) -> None:
        self.loop, self.refuse = loop, refuse
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.server = loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", 0))
        self.address = MailServer("127.0.0.1", self.server.sockets[0].getsockname()[1])

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipients: list[str] = []
        writer.write(b"220 ready\r\n")
        while line := (await reader.readline()).decode().strip():
            answer = "250 ok"
            word = line[:4].upper()
            if word == "RCPT":
                recipients.append(line[8:].split(">")[0].strip(" <"))
                answer = "550 unknown" if self.refuse else answer
            elif word == "DATA":
                writer.write(b"354 go on\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append((recipients, email.message_from_bytes(text[:-3], policy=default)))
                recipients = []
            elif word == "QUIT":
                answer = "221 bye"
            writer.write(answer.encode() + b"\r\n")
        writer.close()

    def close(self) -> None:
        self.server.close()
        self.loop.run_until_complete(self.server.wait_closed())


@pytest.fixture
def mailbox(lite_acme: Any) -> Any:
    box = Mailbox(lite_acme.driver.loop)
    lite_acme.driver.app.hub.mail_server = box.address
    yield box
    box.close()


def subscribe(session: Any, **config: Any) -> str:
    """Enable events and subscribe to published pipelines by mail; return the subscription's id."""
    path = f"/security/rest/v1/organization/{session.organization}/configs"
    session.post(path, [{"id": "dpm.enable.events", "value": "true"}])
    given = {
        "recipients": ["ops@example.com", "dev@example.com"],
        "subject": "{{PIPELINE_NAME}} v{{PIPELINE_VERSION}}",
        "body": "{{SUBSCRIPTION_NAME}} fired {{TRIGGERED_COUNT}} times: größer",
    }
    action = {"eventType": "EMAIL", "config": json.dumps(given | config)}
    body = {
        "name": "by mail",
        "events": [{"eventType": "PIPELINE_COMMITTED"}],
        "externalActions": [action],
    }
    return str(session.put(SUBSCRIBE, body)["id"])


def deliver(session: Any) -> int:
    async def once() -> int:
        async with aiohttp.ClientSession() as client:
            return await deliver_waiting(session.driver.app.hub, client)

    return int(session.driver.loop.run_until_complete(once()))


def audits(session: Any) -> list[dict[str, Any]]:
    return list(session.get("/notification/rest/v1/externalActions/audits"))


def test_a_mail_reaches_all_recipients_with_the_event_filled_in(lite_acme: Any, mailbox: Mailbox) -> None:
    """Subject and body take the event's parameters; how often the subscription fired is counted."""
    subscribe(lite_acme)
    lite_acme.pipeline("Orders")
    lite_acme.pipeline("Claims")
    assert deliver(lite_acme) == 2
    assert {tuple(recipients) for recipients, _ in mailbox.mails} == {("ops@example.com", "dev@example.com")}
    read = {str(mail["Subject"]): mail.get_content().strip() for _, mail in mailbox.mails}
    assert read == {
        "Orders v1": "by mail fired 1 times: größer",
        "Claims v1": "by mail fired 2 times: größer",
    }
    assert [(a["success"], a["message"]) for a in audits(lite_acme)] == [
        (True, "mail to ops@example.com, dev@example.com")
    ] * 2
    assert deliver(lite_acme) == 0


def test_a_refused_mail_is_tried_three_times_and_then_shown(lite_acme: Any, mailbox: Mailbox) -> None:
    """As a webhook is: the subscription carries the error until it is acknowledged."""
    made = subscribe(lite_acme)
    mailbox.refuse = True
    lite_acme.pipeline()
    assert [deliver(lite_acme) for _ in range(4)] == [1, 1, 1, 0]
    assert "unknown" in lite_acme.get("/notification/rest/v1/eventsub")[0]["errorMessage"]
    assert [a["success"] for a in audits(lite_acme)] == [False]
    path = "/notification/rest/v1/eventsub/ackEventSubError"
    assert lite_acme.call("POST", path, made.encode(), expect=200)["errorMessage"] is None


@pytest.mark.parametrize(
    "config", [{"recipients": []}, {"subject": "a\r\nBcc: x@example.com"}], ids=["nobody", "header"]
)
def test_what_cannot_be_a_mail_is_an_error_and_no_mail(
    config: dict[str, Any], lite_acme: Any, mailbox: Mailbox
) -> None:
    """No recipients, and a subject that would add a header."""
    subscribe(lite_acme, **config)
    lite_acme.pipeline()
    for _ in range(3):
        deliver(lite_acme)
    assert ([a["success"] for a in audits(lite_acme)], mailbox.mails) == ([False], [])


def test_an_unreachable_mail_server_is_an_error(lite_acme: Any) -> None:
    """Nobody listens: the action waits to be tried again."""
    box = Mailbox(lite_acme.driver.loop)
    box.close()
    lite_acme.driver.app.hub.mail_server = box.address
    subscribe(lite_acme)
    lite_acme.pipeline()
    assert [deliver(lite_acme) for _ in range(4)] == [1, 1, 1, 0]
    assert "Connection" in lite_acme.get("/notification/rest/v1/eventsub")[0]["errorMessage"]


def test_without_a_mail_server_mail_is_written_down(lite_acme: Any) -> None:
    """The audit says so; it is no failure."""
    subscribe(lite_acme)
    lite_acme.pipeline()
    assert deliver(lite_acme) == 1
    assert [(a["success"], a["message"]) for a in audits(lite_acme)] == [
        (True, "written down: the hub has no mail server")
    ]


WRONG_ACTIONS = {
    "recipients that are no list": ("EMAIL", '{"recipients": "a@example.com"}'),
    "no JSON": ("EMAIL", "{"),
    "a webhook without address": ("WEBHOOKV1", '{"method": "POST"}'),
    "a webhook to a file": ("WEBHOOKV1", '{"uri": "file:///etc/passwd"}'),
    "headers that are a list": ("WEBHOOKV1", '{"uri": "http://127.0.0.1/", "headers": []}'),
    "a timeout that is a word": ("WEBHOOKV1", '{"uri": "http://127.0.0.1/", "timeout": "soon"}'),
    "an unknown method": ("WEBHOOKV1", '{"uri": "http://127.0.0.1/", "method": "TRACE"}'),
    "an unknown kind": ("PAGER", "{}"),
}


@pytest.mark.parametrize(("kind", "config"), WRONG_ACTIONS.values(), ids=WRONG_ACTIONS)
def test_a_wrong_action_is_refused_at_creation(kind: str, config: str, lite_acme: Any) -> None:
    """400, so that delivery never meets it."""
    body = {
        "name": "wrong",
        "events": [{"eventType": "PIPELINE_COMMITTED"}],
        "externalActions": [{"eventType": kind, "config": config}],
    }
    answer = lite_acme.call("PUT", SUBSCRIBE, body)
    assert (answer.status, "externalActions" in answer.json()["ISSUES"][0]["message"]) == (400, True)


def test_an_action_that_an_older_release_took_fails_alone(lite_acme: Any, mailbox: Mailbox) -> None:
    """Its error is noted, and what waits beside it is done."""
    from psrlib.hub.store.schema.automation import subscriptions

    broken = subscribe(lite_acme)
    subscribe(lite_acme, recipients=["ops@example.com"])
    actions = json.dumps([{"eventType": "EMAIL", "config": '{"recipients": 3}'}])
    change = subscriptions.update().where(subscriptions.c.id == broken).values(actions=actions)
    lite_acme.driver.app.hub.write_now(lambda db: db.execute(change))
    lite_acme.pipeline()
    deliver(lite_acme)
    assert [recipients for recipients, _ in mailbox.mails] == [["ops@example.com"]]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1", "smtp://", "smtp://u:p@127.0.0.1", "smtp://127.0.0.1/x", "smtp://127.0.0.1:no", "x"],
)
def test_a_wrong_mail_server_is_named(url: str) -> None:
    """Only smtp://HOST[:PORT]."""
    with pytest.raises(InputError, match="SMTP URL"):
        parse_smtp(url)


@pytest.mark.parametrize("host", ["mail.example.com", "192.0.2.1", "0.0.0.0"])
def test_a_mail_server_elsewhere_needs_to_be_allowed(host: str) -> None:
    """Mail stays on this machine unless told otherwise."""
    with pytest.raises(InputError, match="--smtp-remote"):
        parse_smtp(f"smtp://{host}")
    assert parse_smtp(f"smtp://{host}", remote=True) == MailServer(host, 25)
    assert parse_smtp("smtp://[::1]:1025") == MailServer("::1", 1025)


def test_a_hub_of_its_own_process_sends_mail_also_after_a_restore(tmp_path: Path) -> None:
    """``psr hub start --smtp`` passes the server on; a restored hub keeps it."""
    loop = asyncio.new_event_loop()
    box = Mailbox(loop)
    url = f"smtp://127.0.0.1:{box.address.port}"
    with start_hub(tmp_path, smtp=url) as hub:
        session = requests.Session()
        session.headers["X-Requested-By"] = "test"
        body: dict[str, Any] = {"userName": "admin@admin", "password": "admin@admin"}
        answer = session.post(f"{hub.url}/security/public-rest/v1/authentication/login", json=body, timeout=9)
        session.headers["X-SS-User-Auth-Token"] = answer.headers["X-SS-User-Auth-Token"]
        configs = f"{hub.url}/security/rest/v1/organization/admin/configs"
        session.post(configs, json=[{"id": "dpm.enable.events", "value": "true"}], timeout=9)
        action = {"eventType": "EMAIL", "config": '{"recipients": ["ops@example.com"], "subject": "s"}'}
        body = {
            "name": "m",
            "events": [{"eventType": "PIPELINE_COMMITTED"}],
            "externalActions": [action],
        }
        session.put(hub.url + SUBSCRIBE, json=body, timeout=9).raise_for_status()
        save_snapshot(tmp_path)
        restored = restore_snapshot(tmp_path)
        assert restored is not None
        assert (restored.smtp, restored.url) == (url, hub.url)
        body = {"name": "P", "pipelineDefinition": '{"title": "P", "configuration": [], "stages": []}'}
        made = session.put(f"{hub.url}/pipelinestore/rest/v1/pipelines", json=body, timeout=9)
        made.raise_for_status()

        async def received() -> None:
            while not box.mails:
                await asyncio.sleep(0.05)

        loop.run_until_complete(asyncio.wait_for(received(), 20))
    assert str(box.mails[0][1]["Subject"]) == "s"
    box.close()
    loop.close()
