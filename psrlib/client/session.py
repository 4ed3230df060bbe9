"""What every session offers: one attribute per app of the Control Hub."""

from psrlib.client.apps.connection import Connections
from psrlib.client.apps.jobrunner import JobRunner
from psrlib.client.apps.login_service import LoginService
from psrlib.client.apps.notification import Notification
from psrlib.client.apps.pipelinestore import PipelineStore
from psrlib.client.apps.provisioning import Provisioning
from psrlib.client.apps.scheduler import Scheduler
from psrlib.client.apps.security import Security
from psrlib.client.apps.topology import Topologies
from psrlib.client.wire import Caller


class Session(Caller):
    """The Control Hub as one organization sees it."""

    def __init__(self) -> None:
        self.security = Security(self)
        self.login_service = LoginService(self)
        self.pipelinestore = PipelineStore(self)
        self.jobrunner = JobRunner(self)
        self.scheduler = Scheduler(self)
        self.notification = Notification(self)
        self.topology = Topologies(self)
        self.connection = Connections(self)
        self.provisioning = Provisioning(self)
