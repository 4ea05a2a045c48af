"""What people are told in the page, and what leaves the server by webhook and mail."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
import re
import socket
import socketserver
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update
from typer.testing import CliRunner

from backend import cli
from backend.contracts.spec import JobSpec
from backend.notify import messages, sending
from backend.notify.dispatcher import Dispatcher, pause
from backend.serve import environment
from backend.settings import Settings
from backend.store import deliveries, jobs, notifications, people
from backend.store.tables import DeliveryRow, NotificationRow, PersonRow
from tests.backend import synthetic

HEADER = "Equipoise-Person"
SECRET = "a secret of twenty-four characters"


def end(database, status="succeeded", problem=None, submitter=None):
    """A job that one worker ends."""
    with database.write() as session:
        job = jobs.create(session, JobSpec.model_validate(synthetic.spec()), runs=0, submitter=submitter)
        attempt = jobs.claim(session, job.id, "somebody")
        jobs.finish(session, job.id, attempt, status, problem)
        return job.id


def tell(database, text="Something happened.", person=None, kind="job_succeeded", href="/studies/none"):
    with database.write() as session:
        whom = people.named(session, person).id if person else None
        return notifications.add(session, whom, kind, text, href).id


def told(client, person=None, **params):
    headers = {HEADER: person} if person else {}
    return client.get("/api/notifications", headers=headers, params=params).json()


# --- in the page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"), [("succeeded", "is done"), ("failed", "failed"), ("cancelled", "was cancelled")]
)
def test_whoever_submitted_a_job_is_told_how_it_ended(client, database, status, words):
    job = end(database, status, {"detail": "Out of memory."} if status == "failed" else None, submitter="Ada")
    found = told(client, "Ada")
    assert found["unseen"] == 1
    (one,) = found["items"]
    assert (one["kind"], one["path"], one["for_everybody"], one["seen"]) == (
        f"job_{status}",
        f"/studies/{job}",
        False,
        False,
    )
    assert words in one["text"]
    assert ("Out of memory." in one["text"]) is (status == "failed")
    assert told(client, "Bert")["items"] == told(client)["items"] == []


def test_where_nobody_said_who_they_are_everybody_is_told(client, database):
    end(database)
    assert [one["for_everybody"] for one in told(client)["items"]] == [True]
    assert told(client, "Ada")["unseen"] == told(client, "Bert")["unseen"] == 1


def test_the_name_of_the_submitter_comes_with_the_request(client):
    job = client.post("/api/jobs", json=synthetic.spec(), headers={HEADER: "Zo%C3%AB"}).json()
    assert job["submitter"] == "Zoë"
    assert client.post(f"/api/jobs/{job['id']}/cancel").status_code == 200
    assert [one["kind"] for one in told(client, "Zo%C3%AB")["items"]] == ["job_cancelled"]


def test_what_was_seen_stays_seen_for_that_person_only(client, database):
    ids = [tell(database, f"Number {i}.") for i in range(3)]
    mine = tell(database, "For Ada.", "Ada")
    assert told(client, "Ada")["unseen"] == 4
    for up_to in (ids[1], ids[0]):
        assert client.put("/api/notifications/seen", json={"up_to": up_to}, headers={HEADER: "Ada"}).json() == {
            "up_to": ids[1]
        }
    found = told(client, "Ada")
    assert found["unseen"] == 2
    assert [(one["id"], one["seen"]) for one in found["items"]] == [
        (mine, False),
        (ids[2], False),
        (ids[1], True),
        (ids[0], True),
    ]
    assert told(client, "Bert")["unseen"] == 3
    # One beyond the newest does not hide what comes later.
    client.put("/api/notifications/seen", json={"up_to": mine + 100}, headers={HEADER: "Ada"})
    tell(database, "Later.")
    assert told(client, "Ada")["unseen"] == 1
    assert client.put("/api/notifications/seen", json={"up_to": 1}).status_code == 422
    assert told(client, seen_up_to=ids[1])["unseen"] == 2


def test_pages_go_through_all_of_them_once(client, database):
    ids = [tell(database, f"Number {i}.") for i in range(7)]
    seen, cursor = [], None
    while True:
        page = told(client, limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_a_text_is_one_line_and_of_bounded_length(database):
    with database.write() as session:
        row = notifications.add(session, None, "job_failed", "a\r\nb\t" + "x" * 5000, "/")
        assert row.text.startswith("a b x")
        assert len(row.text) == notifications.LONGEST


# --- out of the server ------------------------------------------------------------------------------------------------


class Hook:
    """A web server that answers what it is told and keeps what came."""

    def __init__(self):
        self.came = []
        self.answers = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.came.append((self.path, dict(self.headers), body))
                answer = hook.answers.pop(0) if hook.answers else 204
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer)
                if answer == 302:
                    self.send_header("Location", f"{hook.url}elsewhere")
                self.end_headers()

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook():
    one = Hook()
    yield one
    one.close()


class Mailbox:
    """A mail server of a few commands: enough for what is sent, and to see exactly what came over the wire."""

    def __init__(self, extensions=(), refuse=None):
        self.letters = []
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.say("220 here")
                recipients = []
                while line := self.rfile.readline().decode().strip():
                    verb = line.partition(" ")[0].upper()
                    if verb == "EHLO":
                        lines = ["here", *extensions]
                        for i, one in enumerate(lines):
                            self.say(f"250{' ' if i == len(lines) - 1 else '-'}{one}")
                    elif verb == "RCPT" and refuse:
                        self.say(refuse)
                    elif verb == "AUTH":
                        self.say("535 no: " + line)
                    elif verb == "DATA":
                        self.say("354 go on")
                        body = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            body += part
                        box.letters.append((recipients, body))
                        self.say("250 taken")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        if verb == "RCPT":
                            recipients.append(line.upper().partition(":")[2].lower())
                        self.say("250 yes")

            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mailbox():
    box = Mailbox()
    yield box
    box.close()


def configured(settings, **more):
    return Settings(**{**settings.model_dump(exclude_unset=True), **more})


def hooked(settings, hook, **more):
    return configured(settings, webhook_urls=[hook.url + "in/secret-path"], webhook_secret=SECRET, **more)


def mailing(settings, port, **more):
    return configured(
        settings,
        smtp_host="127.0.0.1",
        smtp_port=port,
        **{"smtp_security": "none", "smtp_from": "equipoise@example.org", **more},
    )


def hurry(database):
    """As if the time of the next attempt had come."""
    with database.write() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(DeliveryRow).where(DeliveryRow.next_at.is_not(None)).values(next_at=past))


def outbox(database):
    with database.read() as session:
        return list(session.scalars(select(DeliveryRow).order_by(DeliveryRow.id)))


def documented_verify():
    """The receiver's side exactly as the documentation shows it."""
    text = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict = {}
    exec(code, names)
    return names["verify"]


def test_a_webhook_is_signed_as_documented_and_sent_once(database, settings, hook):
    own = hooked(settings, hook, public_url="https://equipoise.example.org/")
    notice = tell(database, "It is done: 5 < 7 & “ü”.", "Ada")
    sender = Dispatcher(database, own)
    assert [sender.look() for _ in range(3)] == [1, 0, 0]
    ((path, headers, body),) = hook.came
    assert path == "/in/secret-path"
    message = json.loads(body)
    assert message == {
        "id": f"notice-{notice}",
        "kind": "job_succeeded",
        "text": "It is done: 5 < 7 & “ü”.",
        "person": "Ada",
        "path": "/studies/none",
        "url": "https://equipoise.example.org/studies/none",
        "created_at": message["created_at"],
    }
    stamp = headers["Equipoise-Timestamp"]
    expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["Equipoise-Signature"] == f"v1={expected}"
    assert headers["Equipoise-Event"] == "job_succeeded"
    assert abs(int(stamp) - time.time()) < 60
    verify = documented_verify()
    assert verify(SECRET, headers, body, time.time()) == message
    for secret, said, what, when in (
        ("another", headers, body, 0),
        (SECRET, headers, body + b" ", 0),
        (SECRET, headers, body, 330),
        (SECRET, headers, body, -330),
        (SECRET, {**headers, "Equipoise-Timestamp": str(int(stamp) + 1)}, body, 0),
        (SECRET, {**headers, "Equipoise-Timestamp": "soon"}, body, 0),
        (SECRET, {**headers, "Equipoise-Signature": "v1=\u00fc"}, body, 0),
        (SECRET, {}, body, 0),
    ):
        with pytest.raises(ValueError, match=r"."):
            verify(secret, said, what, time.time() + when)


def test_a_failure_is_tried_again_later_and_given_up_in_the_end(client, database, settings, hook):
    own = hooked(settings, hook, delivery_attempts=3)
    hook.answers = [500, 503, 500]
    tell(database)
    sender = Dispatcher(database, own)
    began = datetime.now(UTC)
    for attempt in (1, 2, 3):
        assert sender.look() == 0
        (row,) = outbox(database)
        assert row.attempts == attempt
        # It is not due yet: nothing happens until then.
        assert sender.look() == 0
        assert len(hook.came) == attempt
        if attempt < 3:
            low = timedelta(seconds=pause(attempt, 0.0))
            assert low <= row.next_at - began <= 1.5 * low + timedelta(seconds=60)
            hurry(database)
    assert (row.next_at, row.delivered_at, row.error) == (None, None, "answered 500")
    shown = client.get("/api/notifications/deliveries", params={"failing": True}).json()
    assert shown["failing"] == 1
    assert [(one["state"], one["error"], one["attempts"]) for one in shown["items"]] == [
        ("given_up", "answered 500", 3)
    ]
    assert "secret-path" not in json.dumps(shown)


def test_one_that_failed_arrives_at_a_later_attempt(client, database, settings, hook):
    hook.answers = [500, 200]
    tell(database)
    sender = Dispatcher(database, hooked(settings, hook))
    assert sender.look() == 0
    assert client.get("/api/notifications/deliveries").json()["failing"] == 1
    hurry(database)
    assert sender.look() == 1
    (row,) = outbox(database)
    assert (row.attempts, row.next_at, row.error) == (2, None, None)
    assert client.get("/api/notifications/deliveries").json()["items"][0]["state"] == "delivered"
    # Each attempt has its own timestamp and signature, the body with its id stays.
    (_, _, one), (_, _, two) = hook.came
    assert one == two


def test_redirects_are_not_followed(database, settings, hook):
    hook.answers = [302]
    tell(database)
    Dispatcher(database, hooked(settings, hook)).look()
    assert [path for path, _, _ in hook.came] == ["/in/secret-path"]
    assert outbox(database)[0].error == "answered 302: redirects are not followed"


def test_one_that_is_gone_for_good_is_given_up_at_once(database, settings, hook):
    hook.answers = [410]
    tell(database)
    Dispatcher(database, hooked(settings, hook)).look()
    assert outbox(database)[0].next_at is None


def test_whoever_talks_slowly_does_not_hold_the_server_up(database, settings, hook, monkeypatch):
    monkeypatch.setattr(sending, "PATIENCE", 0.3)
    released = threading.Event()

    def drip(handler):
        # A byte now and then: no pause is longer than the timeout of one read.
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not released.wait(0.05):
            try:
                handler.wfile.write(b"X: y\r\n")
                handler.wfile.flush()
            except OSError:
                return

    hook.answers = [drip]
    tell(database)
    try:
        assert Dispatcher(database, hooked(settings, hook)).look() == 0
    finally:
        released.set()
    assert outbox(database)[0].error.startswith("no answer within")


def test_what_does_not_answer_is_told_without_its_address(database, settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    own = configured(settings, webhook_urls=[f"http://127.0.0.1:{port}/T0/token"], webhook_secret=SECRET)
    tell(database)
    Dispatcher(database, own).look()
    (row,) = outbox(database)
    assert row.error == "could not be reached"
    assert "token" not in row.target
    assert row.target.startswith("127.0.0.1#")


def test_two_replicas_deliver_once(database, settings, hook):
    for i in range(10):
        tell(database, f"Number {i}.")
    senders = [Dispatcher(database, hooked(settings, hook)) for _ in range(4)]
    threads = [threading.Thread(target=sender.look) for sender in senders for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(json.loads(body)["text"] for _, _, body in hook.came) == [f"Number {i}." for i in range(10)]


def test_two_that_both_believe_to_be_on_duty_deliver_once(database, settings, hook, monkeypatch):
    # As when a round outlasts its lease: the attempt itself is claimed.
    tell(database)
    senders = [Dispatcher(database, hooked(settings, hook)) for _ in range(2)]
    for sender in senders:
        monkeypatch.setattr(sender, "_on_duty", lambda: True)
    senders[0]._pass_on()
    (row,) = outbox(database)
    assert [sender._try(row) for sender in senders] == [True, False]
    assert len(hook.came) == 1


def test_a_crash_between_sending_and_writing_it_down_sends_it_again(database, settings, hook, monkeypatch):
    tell(database)
    sender = Dispatcher(database, hooked(settings, hook))

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(deliveries, "arrived", crash)
        with pytest.raises(KeyboardInterrupt):
            sender.look()
    assert sender.look() == 0
    hurry(database)
    assert Dispatcher(database, hooked(settings, hook))._try(outbox(database)[0]) is True
    assert [json.loads(body)["id"] for _, _, body in hook.came] == [json.loads(hook.came[0][2])["id"]] * 2
    assert outbox(database)[0].delivered_at is not None


def test_a_crash_before_it_is_in_the_outbox_loses_nothing(database, settings, hook, monkeypatch):
    tell(database)
    sender = Dispatcher(database, hooked(settings, hook))

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(notifications, "pass_on", crash)
        with pytest.raises(KeyboardInterrupt):
            sender.look()
    assert outbox(database) == []
    assert sender.look() == 1


def test_a_webhook_that_is_taken_out_of_the_settings_is_called_no_more(database, settings, hook):
    hook.answers = [500]
    tell(database)
    Dispatcher(database, hooked(settings, hook)).look()
    hurry(database)
    with database.write() as session:
        session.execute(update(DeliveryRow).values(attempts=0))
    sender = Dispatcher(database, settings)
    sender._try(outbox(database)[0])
    (row,) = outbox(database)
    assert len(hook.came) == 1
    assert (row.next_at, row.error) == (None, "this webhook is no longer set up")


def test_what_was_told_before_a_webhook_was_set_up_is_not_sent(database, settings, hook):
    tell(database, "Before.")
    Dispatcher(database, settings).look()
    Dispatcher(database, hooked(settings, hook)).look()
    assert hook.came == []


def test_an_alarm_is_a_notification_of_its_own(database, settings, hook, monkeypatch):
    from backend.api.services import alarms

    job = end(database, submitter="Ada")
    monkeypatch.setattr(alarms, "of_jobs", lambda session, ids: {job: "Audits refute the claim."})
    sender = Dispatcher(database, hooked(settings, hook))
    for _ in range(3):
        sender.look()
    kinds = [json.loads(body)["kind"] for _, _, body in hook.came]
    assert kinds == ["job_succeeded", "alarm"]
    with database.read() as session:
        row = session.scalars(select(NotificationRow).where(NotificationRow.kind == "alarm")).one()
        assert session.get(PersonRow, row.person_id).name == "Ada"
        assert row.href == f"/studies/{job}"


# --- mail -------------------------------------------------------------------------------------------------------------


def addressed(client, name, address):
    assert client.put("/api/people/me", json={"email": address}, headers={HEADER: name}).status_code == 200


def test_mail_goes_to_whom_it_concerns(client, database, settings, mailbox):
    addressed(client, "Ada", "ada@example.org")
    addressed(client, "Bert", "bert@example.org")
    tell(database, "The study “Größe”\nis done. " + "x" * 300, "Ada")
    tell(database, "For everybody.")
    tell(database, "For one without an address.", "Carl")
    own = mailing(settings, mailbox.port, public_url="https://equipoise.example.org")
    assert Dispatcher(database, own).look() == 1
    ((recipients, raw),) = mailbox.letters
    assert recipients == ["<ada@example.org>"]
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    assert letter["To"] == "ada@example.org"
    assert letter["From"] == "equipoise@example.org"
    assert letter["Subject"].startswith("The study “Größe” is done. ")
    assert len(letter["Subject"]) <= messages.SUBJECT
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"].endswith("@example.org>")
    assert "https://equipoise.example.org/studies/none" in letter.get_content()
    shown = client.get("/api/notifications/deliveries").json()["items"]
    assert [one["target"] for one in shown] == ["a…@example.org"]


NASTY = "Study\r\nBcc: victim@example.net\r\n\r\nbody\x00\x1b[31m\u2028X-Spam: no"


def test_nothing_that_people_write_becomes_a_header(client, database, settings, mailbox):
    addressed(client, "Ada", "ada@example.org")
    tell(database, NASTY, "Ada")
    assert Dispatcher(database, mailing(settings, mailbox.port)).look() == 1
    ((recipients, raw),) = mailbox.letters
    assert recipients == ["<ada@example.org>"]
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    assert sorted(letter.keys()) == sorted(
        [
            *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
            *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
        ]
    )
    assert "\n" not in letter["Subject"]


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "a@b c@d", "a@b\x00"])
def test_an_address_with_a_line_break_is_never_written_into_a_mail(database, settings, mailbox, address):
    message = messages.trial(settings)
    with pytest.raises(sending.NotSent) as raised:
        sending.Channels(mailing(settings, mailbox.port)).send("email", address, message)
    assert raised.value.final
    assert mailbox.letters == []


def test_mail_leaves_for_allowed_domains_only(client, database, settings, mailbox):
    addressed(client, "Ada", "ada@example.org")
    addressed(client, "Eve", "eve@example.org.evil.net")
    for name in ("Ada", "Eve"):
        tell(database, f"For {name}.", name)
    Dispatcher(database, mailing(settings, mailbox.port, smtp_domains=["Example.org"])).look()
    assert [recipients for recipients, _ in mailbox.letters] == [["<ada@example.org>"]]


@pytest.mark.parametrize(
    ("extensions", "refuse", "more", "said", "again"),
    [
        ((), "550 no such", {}, "the mail server refused the recipient (550)", False),
        ((), "451 later", {}, "the mail server refused the recipient (451)", True),
        (("AUTH PLAIN",), None, {"smtp_user": "me", "smtp_password": "hunter2"}, "refused the sign-in (535)", True),
        ((), None, {"smtp_security": "starttls"}, "does not offer what the settings ask for", True),
        ((), None, {"smtp_user": "me", "smtp_password": "hunter2"}, "does not offer what the settings ask for", True),
        ((), None, {"smtp_security": "tls"}, "could not be encrypted", True),
    ],
)
def test_a_mail_server_that_refuses_is_told_without_secrets(
    client, database, settings, extensions, refuse, more, said, again
):
    box = Mailbox(extensions, refuse)
    try:
        addressed(client, "Ada", "ada@example.org")
        tell(database, "Something.", "Ada")
        assert Dispatcher(database, mailing(settings, box.port, **more)).look() == 0
    finally:
        box.close()
    (row,) = outbox(database)
    assert said in row.error
    assert "hunter2" not in row.error
    assert (row.next_at is not None) is again
    assert box.letters == []


# --- settings and command line ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("webhook_urls", {"EQUIPOISE_WEBHOOK_URLS": "https://h.example.org/x"}),
        ("webhook_urls", {"EQUIPOISE_WEBHOOK_URLS": "file:///etc/passwd", "EQUIPOISE_WEBHOOK_SECRET": SECRET}),
        ("webhook_urls", {"EQUIPOISE_WEBHOOK_URLS": "https://me:pw@h.example.org", "EQUIPOISE_WEBHOOK_SECRET": SECRET}),
        ("webhook_secret", {"EQUIPOISE_WEBHOOK_SECRET": "short-secret"}),
        ("smtp_from", {"EQUIPOISE_SMTP_HOST": "mail.example.org"}),
        ("smtp_from", {"EQUIPOISE_SMTP_HOST": "mail.example.org", "EQUIPOISE_SMTP_FROM": "a@b\r\nBcc: c@d"}),
        ("public_url", {"EQUIPOISE_PUBLIC_URL": "javascript:alert(1)"}),
    ],
)
def test_settings_that_would_not_work_are_refused_at_the_start(monkeypatch, name, variables):
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as raised:
        Settings()
    assert [error["loc"] for error in raised.value.errors()] == [(name,)]
    answer = CliRunner().invoke(cli.app, ["notify", "test"])
    assert answer.exit_code == 1
    assert f"EQUIPOISE_{name.upper()}" in answer.output
    for secret in ("short-secret", "me:pw", SECRET):
        assert secret not in answer.output


def test_secrets_are_neither_shown_nor_handed_to_the_worker(monkeypatch, settings):
    monkeypatch.setenv("EQUIPOISE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("EQUIPOISE_WEBHOOK_URLS", "https://h.example.org/a/token https://h.example.org/b/token")
    monkeypatch.setenv("EQUIPOISE_SMTP_PASSWORD", "hunter2")
    monkeypatch.setenv("EQUIPOISE_SMTP_DOMAINS", "example.org example.net")
    own = configured(settings)
    assert own.webhook_urls == ["https://h.example.org/a/token", "https://h.example.org/b/token"]
    assert own.smtp_domains == ["example.org", "example.net"]
    given = environment(own)
    for secret in (SECRET, "token", "hunter2"):
        assert not [name for name, value in given.items() if name.startswith("EQUIPOISE") and secret in value]
    # What is handed on can be read again.
    for name in [name for name in environment(settings) if name.startswith("EQUIPOISE_")]:
        monkeypatch.setenv(name, given[name])
    for name in ("WEBHOOK_SECRET", "WEBHOOK_URLS", "SMTP_PASSWORD"):
        monkeypatch.delenv(f"EQUIPOISE_{name}")
    assert Settings().smtp_domains == ["example.org", "example.net"]
    assert "hunter2" not in repr(own)
    assert SECRET not in repr(own)


def test_the_password_can_lie_in_a_file(settings, tmp_path):
    path = tmp_path / "password"
    path.write_text("hunter2\n")
    assert configured(settings, smtp_password_file=path).mail_password() == "hunter2"
    assert settings.mail_password() is None


def test_the_command_line_tries_every_channel(monkeypatch, hook, mailbox):
    for name, value in {
        "WEBHOOK_URLS": f"{hook.url}secret-path",
        "WEBHOOK_SECRET": SECRET,
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mailbox.port),
        "SMTP_SECURITY": "none",
        "SMTP_FROM": "equipoise@example.org",
    }.items():
        monkeypatch.setenv(f"EQUIPOISE_{name}", value)
    answer = CliRunner().invoke(cli.app, ["notify", "test", "--to", "ada@example.org"])
    assert answer.exit_code == 0, answer.output
    assert [line.rpartition(": ")[2] for line in answer.output.splitlines()] == ["sent", "sent"]
    assert "secret-path" not in answer.output
    assert documented_verify()(SECRET, hook.came[0][1], hook.came[0][2], time.time())["kind"] == "test"
    assert len(mailbox.letters) == 1
    hook.answers = [500]
    answer = CliRunner().invoke(cli.app, ["notify", "test"])
    assert answer.exit_code == 1
    assert "answered 500" in answer.output


def test_the_command_line_says_what_is_missing(monkeypatch):
    answer = CliRunner().invoke(cli.app, ["notify", "test"])
    assert answer.exit_code == 1
    assert "docs/notifications.md" in answer.output
