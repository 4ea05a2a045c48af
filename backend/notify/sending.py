"""Sends one message by one channel, or says in words that hold no secret why it could not.

Only addresses that the operator set up are ever called: a webhook is stored and shown by its `target`, host name and
a fingerprint, and found by it among the settings when it is sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import smtplib
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from backend import __version__
from backend.notify import messages
from backend.settings import Settings

#: Seconds that one attempt may take altogether, however slowly the other side talks.
PATIENCE = 10.0
#: Largest body that is sent, in bytes.
LARGEST = 16_384

TIMESTAMP_HEADER = "Equipoise-Timestamp"
SIGNATURE_HEADER = "Equipoise-Signature"
EVENT_HEADER = "Equipoise-Event"


class NotSent(Exception):
    """One attempt failed. `final` where another one would not help."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def webhook_target(url: str) -> str:
    """What a webhook is called in the database, in logs and on the page: its path may hold a secret.

    >>> webhook_target("https://hooks.example.org/T0/secret")
    'hooks.example.org#1aac74ede4e8'
    """
    return f"{urlsplit(url).hostname}#{hashlib.sha256(url.encode()).hexdigest()[:12]}"


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a full stop and the body, as `v1=` and hexadecimal digits.

    >>> signature("a secret of twenty-four!", 1700000000, b"{}")[:11]
    'v1=0d296faf'
    """
    return "v1=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class Channels:
    """What the settings allow to be sent to."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: Configured webhooks by target.
        self.webhooks = {webhook_target(url): url for url in settings.webhook_urls}

    @property
    def mail(self) -> bool:
        """Whether there is a mail server."""
        return self._settings.smtp_host is not None

    def may_mail(self, address: str) -> bool:
        """Whether mail may go to that address."""
        domains = {domain.lower() for domain in self._settings.smtp_domains}
        return self.mail and (not domains or address.rpartition("@")[2].lower() in domains)

    def send(self, channel: str, target: str, message: dict[str, Any]) -> None:
        """One attempt. Raises `NotSent`."""
        if channel == "webhook":
            url = self.webhooks.get(target)
            if url is None:
                raise NotSent("this webhook is no longer set up", final=True)
            self._call(url, message)
        else:
            if not self.may_mail(target):
                reason = "mail may not go to this domain" if self.mail else "no mail server is set up any more"
                raise NotSent(reason, final=True)
            self._mail(target, message)

    def _call(self, url: str, message: dict[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > LARGEST:
            raise NotSent(f"the message has more than {LARGEST} bytes", final=True)
        assert self._settings.webhook_secret is not None
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Equipoise/{__version__}",
            EVENT_HEADER: str(message["kind"]),
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: signature(self._settings.webhook_secret.get_secret_value(), timestamp, body),
        }
        try:
            status = asyncio.run(_post(url, body, headers))
        except TimeoutError as error:
            raise NotSent(f"no answer within {PATIENCE:.0f} s") from error
        except httpx.HTTPError as error:
            # Its text may hold the address.
            raise NotSent(_WORDS.get(type(error), "the connection broke off")) from error
        if 300 <= status < 400:
            raise NotSent(f"answered {status}: redirects are not followed")
        if status == 410:
            raise NotSent("answered 410: it is gone for good", final=True)
        if not 200 <= status < 300:
            raise NotSent(f"answered {status}")

    def _mail(self, recipient: str, message: dict[str, Any]) -> None:
        own = self._settings
        assert own.smtp_host is not None
        assert own.smtp_from is not None
        try:
            letter = messages.mail(message, own.smtp_from, recipient)
            password = own.mail_password()
        except ValueError as error:
            raise NotSent(str(error), final=True) from error
        except OSError as error:
            raise NotSent("the file of the mail password cannot be read") from error
        secure = ssl.create_default_context()
        kind: Any = smtplib.SMTP
        more: dict[str, Any] = {}
        if own.smtp_security == "tls":
            kind, more = smtplib.SMTP_SSL, {"context": secure}
        try:
            with kind(own.smtp_host, own.smtp_port, timeout=PATIENCE, **more) as server:
                if own.smtp_security == "starttls":
                    server.starttls(context=secure)
                if own.smtp_user is not None and password is not None:
                    server.login(own.smtp_user, password)
                server.send_message(letter)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise NotSent(f"the mail server refused the recipient ({code})", final=500 <= code < 600) from error
        except smtplib.SMTPResponseException as error:
            what = "the sign-in" if isinstance(error, smtplib.SMTPAuthenticationError) else "the mail"
            raise NotSent(f"the mail server refused {what} ({error.smtp_code})") from error
        except smtplib.SMTPNotSupportedError as error:
            raise NotSent("the mail server does not offer what the settings ask for (TLS or signing in)") from error
        except smtplib.SMTPException as error:
            raise NotSent("the mail server broke off the conversation") from error
        except ssl.SSLError as error:
            raise NotSent("the connection to the mail server could not be encrypted") from error
        except TimeoutError as error:
            raise NotSent(f"the mail server did not answer within {PATIENCE:.0f} s") from error
        except OSError as error:
            raise NotSent("the mail server could not be reached") from error


_WORDS: dict[type[Exception], str] = {
    httpx.ConnectError: "could not be reached",
    httpx.ConnectTimeout: f"no answer within {PATIENCE:.0f} s",
    httpx.ReadTimeout: f"no answer within {PATIENCE:.0f} s",
    httpx.WriteTimeout: f"no answer within {PATIENCE:.0f} s",
    httpx.RemoteProtocolError: "did not answer in HTTP",
}


async def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer; what else it says is not read, so that its size does not matter."""
    async with (
        asyncio.timeout(PATIENCE),
        # No proxy or credentials from the environment: what is called is what the operator wrote down.
        httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", url, content=body, headers=headers) as answer,
    ):
        return answer.status_code
