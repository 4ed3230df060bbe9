"""Outgoing mail: the e-mail actions of subscriptions, handed to an SMTP server in plain text."""

import ipaddress
import smtplib
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit

from psrlib.errors import InputError

SENDER = "control-hub@localhost"
SMTP_PORT = 25
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class MailServer:
    """An SMTP server that takes mail without login and encryption: one on this machine, or a relay."""

    host: str
    port: int

    def send(self, recipients: list[str], subject: str, body: str) -> None:
        """Hand over one mail to all recipients; blocks until the server has taken it.

        Raises
        ------
        OSError
            When the server cannot be reached or refuses the mail or a recipient; smtplib's errors are such.
        ValueError
            When recipients or subject hold what a header cannot.
        """
        message = EmailMessage()
        message["From"] = SENDER
        message["To"] = ", ".join(recipients)
        message["Subject"] = subject
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = make_msgid(domain="localhost")
        message.set_content(body)
        with smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S) as connection:
            refused = connection.send_message(message, to_addrs=recipients)
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)


def parse_smtp(url: str, remote: bool = False) -> MailServer:
    """Return the server of a URL such as ``smtp://127.0.0.1:1025``.

    Parameters
    ----------
    url : str
        ``smtp://HOST[:PORT]``, port 25 unless given.
    remote : bool
        Allow a server that is not on this machine.

    Raises
    ------
    InputError
        When the URL has another form, or names another machine without ``remote``.

    Examples
    --------
    >>> parse_smtp("smtp://127.0.0.1:1025")
    MailServer(host='127.0.0.1', port=1025)
    """
    wrong = InputError(f"SMTP URL: {url!r} is not smtp://HOST[:PORT] without login")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    if parts.scheme != "smtp" or not host or parts.path.strip("/") or "@" in parts.netloc:
        raise wrong
    if not remote and not is_loopback(host):
        raise InputError(f"SMTP server {host} is not on this machine; allow it with --smtp-remote")
    return MailServer(host, port or SMTP_PORT)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
