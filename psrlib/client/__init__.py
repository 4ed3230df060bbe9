"""The REST client of Control Hub 3.x and 4.x: sessions, one file per app, call counter, connection limit."""

from psrlib.client.calls import CallCounter
from psrlib.client.control_hub import ControlHub
from psrlib.client.credentials import Credentials, load_credentials
from psrlib.client.http import LostAnswerError
from psrlib.client.limit import AdaptiveLimit
from psrlib.client.request import Answer, Request, Upload

__all__ = [
    "AdaptiveLimit",
    "Answer",
    "CallCounter",
    "ControlHub",
    "Credentials",
    "LostAnswerError",
    "Request",
    "Upload",
    "load_credentials",
]
