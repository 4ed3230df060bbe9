"""Rows the runner works on, as records: jobs, runs, pipeline instances, engines and events for engines.

Their fields are columns of their tables (``psrlib/hub/store/schema`` says what they hold).
They are changed through `psrlib.hub.runner.records.Records` only.
"""

from typing import ClassVar

from msgspec import Struct, field
from sqlalchemy import Table

from psrlib.hub.store.schema import design, execution
from psrlib.hub.store.text import Json


class Entity(Struct, eq=False):
    """A row as it will be when the transaction ends; the same object however often it is read."""

    table: ClassVar[Table]


class Commit(Entity, eq=False):
    """The version of a pipeline that a run takes."""

    table = design.commits

    id: str
    number: int
    name: str


class Job(Entity, eq=False):
    """A job or job template."""

    table = execution.jobs

    id: str
    organization: str
    name: str
    pipeline_id: str
    commit_id: str
    executor_type: str = "COLLECTOR"
    template: bool = False
    labels: list[str] = field(default_factory=list)
    instances: int = 1
    migrate_offsets: bool = False
    settings: Json = field(default_factory=dict)
    current_run: str | None = None


class Run(Entity, eq=False):
    """One start to stop of a job."""

    table = execution.runs

    id: str
    job_id: str
    organization: str
    commit_id: str
    commit_label: str
    user_id: str
    run_count: int
    status: str
    color: str
    start_time: int = 0
    finish_time: int = 0
    changed_on: int = 0
    error_message: str | None = None
    warnings: list[str] = field(default_factory=list)
    parameters: Json | None = None
    groups: list[str] = field(default_factory=list)
    open: bool = False
    failovers: int = 0


class RunEvent(Entity, eq=False):
    """One line of a run's history."""

    table = execution.run_events

    run_id: str
    user_id: str
    time: int
    status: str
    color: str
    id: int = 0


class Instance(Entity, eq=False):
    """A run's pipeline on one engine."""

    table = execution.instances

    id: int
    run_id: str
    job_id: str
    organization: str
    engine_id: str
    name: str
    slot: int
    phase: str
    title: str | None = None
    status: str = ""
    status_time: int = 0
    last_reported: int = 0
    message: str | None = None
    offset: str | None = None
    offset_protocol: int = 2
    created_on: int = 0


class Engine(Entity, eq=False):
    """An engine the hub has seen."""

    table = execution.engines

    id: str
    organization: str
    http_url: str
    version: str
    executor_type: str
    labels: list[str] = field(default_factory=list)
    reported_labels: list[str] = field(default_factory=list)
    offset_protocol: int = 2
    total_memory: int = 0
    start_up_time: int = 0
    last_reported_time: int = 0
    silent: bool = False
    cpu_load: float = 0.0
    used_memory: float = 0.0
    max_cpu_load: float = 100.0
    max_memory_used: float = 100.0
    max_pipelines: int = 1_000_000
    deployment_id: str | None = None
    csp_deployment_id: str | None = None
    build: Json = field(default_factory=dict)

    @property
    def is_edge(self) -> bool:
        """Whether it is Data Collector Edge, which knows neither STOP_DELETE nor a resume."""
        return self.executor_type == "EDGE"


class EngineEvent(Entity, eq=False):
    """An event that waits for an engine, or for its acknowledgement, or has it."""

    table = execution.engine_events

    id: str
    engine_id: str
    organization: str
    type: int
    state: str
    instance: int = 0
    payload: str | None = None
    message: str | None = None
    created_on: int = 0
    delivered_on: int = 0
    deliveries: int = 0
    number: int = 0
