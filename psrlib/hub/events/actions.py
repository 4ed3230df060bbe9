"""What the external actions of subscriptions are told to do (control-hub-rest.md, 7.2)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

DEFAULT_TIMEOUT_MS = 30_000


class Webhook(Struct, rename="camel"):
    """The ``config`` of a WEBHOOKV1 action; texts hold ``{{PARAMETER}}``."""

    uri: Annotated[str, Meta(pattern="^https?://")]
    method: Literal["GET", "POST", "PUT", "DELETE"] | None = "POST"
    content_type: str | None = None
    payload: str | None = None
    auth_type: str | None = None
    username: str | None = None
    password: str | None = None
    timeout: Annotated[float, Meta(ge=0)] | None = DEFAULT_TIMEOUT_MS
    headers: dict[str, str] | None = None


class Email(Struct, rename="camel"):
    """The ``config`` of an EMAIL action; texts hold ``{{PARAMETER}}``."""

    recipients: list[str] | None = None
    subject: str | None = None
    body: str | None = None


KINDS: dict[str, type[Webhook] | type[Email]] = {"EMAIL": Email, "WEBHOOKV1": Webhook}


def read_action(kind: str, config: str | None) -> Webhook | Email:
    """Return an action's ``config``, which is JSON text; numbers may be sent as text.

    Raises
    ------
    msgspec.ValidationError, msgspec.DecodeError
        When the text is no such configuration.
    """
    return msgspec.json.decode(config or "{}", type=KINDS[kind], strict=False)
