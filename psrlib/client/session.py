"""What every session offers: one attribute per app of the Control Hub."""

from abc import ABC, abstractmethod
from typing import Any

from psrlib.client.apps.connection import Connections
from psrlib.client.apps.jobrunner import JobRunner
from psrlib.client.apps.notification import Notification
from psrlib.client.apps.pipelinestore import PipelineStore
from psrlib.client.apps.scheduler import Scheduler
from psrlib.client.apps.security import Security
from psrlib.client.apps.topology import Topologies
from psrlib.client.request import Answer, Request


class Session(ABC):
    """The Control Hub as one organization sees it."""

    def __init__(self) -> None:
        self.security = Security(self)
        self.pipelinestore = PipelineStore(self)
        self.jobrunner = JobRunner(self)
        self.scheduler = Scheduler(self)
        self.notification = Notification(self)
        self.topology = Topologies(self)
        self.connection = Connections(self)

    @property
    @abstractmethod
    def organization(self) -> str:
        """The organization that listings name."""

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Send one request and return the answer."""

    def call(self, request: Request) -> Any:
        """Send one request and return the parsed body of the answer."""
        return self.answer(request).body
