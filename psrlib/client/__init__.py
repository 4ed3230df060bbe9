"""The REST client of Control Hub 3.x: sessions, one file per app, call counter, connection limit."""

from psrlib.client.calls import CallCounter
from psrlib.client.control_hub import ControlHub
from psrlib.client.limit import AdaptiveLimit
from psrlib.client.transport import LostAnswerError

__all__ = ["AdaptiveLimit", "CallCounter", "ControlHub", "LostAnswerError"]
