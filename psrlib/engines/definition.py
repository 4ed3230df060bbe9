"""What an engine keeps of the pipeline definition a hub sends: enough to report and to make metrics."""

from typing import Any

import msgspec
from msgspec import Raw

STATS_TO_HUB = "com_streamsets_pipeline_stage_destination_devnull_StatsDpmDirectlyDTarget"
DEFAULT_METRICS_PERIOD_MS = 15_000  # when UPDATE_WAIT_TIME_MS is null (engine-protocol, 8)
SHORTEST_PERIOD_MS = 2_000  # how often an engine looks whether metrics are due (ui.refresh.interval.ms)
BATCH_RECORDS, BATCH_MS = 10, 1000  # of an origin that does not say: a quiet pipeline
SHORTEST_BATCH_MS = 20  # what a batch takes to process
LONGEST_BATCH_MS, MAX_BATCH_RECORDS = 86_400_000, 1_000_000


class StageShape(msgspec.Struct, frozen=True, array_like=True):
    """A stage instance and its output lanes."""

    name: str
    lanes: tuple[str, ...]


class Definition(msgspec.Struct, frozen=True):
    """The kept part of a definition; ``metadata`` are its string entries, echoed with the metrics.

    ``metrics_period_ms`` is 0 when the constant is missing (only the first and the last upload happen) and -1
    when the pipeline sends no metrics to the hub.
    """

    title: str | None
    stages: tuple[StageShape, ...]
    job_id: str  # constant JOB_ID
    commit_id: str  # PIPELINE_COMMIT_ID
    time_series: bool  # TIME_SERIES_ANALYSIS
    metrics_period_ms: int
    metadata: dict[str, str]
    batch_records: int = BATCH_RECORDS  # the origin's ``batchSize``
    batch_ms: int = BATCH_MS  # the origin's ``delay`` between batches

    @property
    def held_bytes(self) -> int:
        """About how much memory it takes."""
        texts = [self.title or "", self.job_id, self.commit_id, *self.metadata, *self.metadata.values()]
        names = [name for stage in self.stages for name in (stage.name, *stage.lanes)]
        return 500 + sum(100 + len(text) for text in (*texts, *names))


_NULL = Raw(b"null")


# What is not read stays text (``Raw``): a few bytes of JSON may stand for many bytes of objects.
class _Value(msgspec.Struct):
    name: str
    value: Raw = _NULL


class _Constant(msgspec.Struct):
    key: str | None = None
    value: Raw = _NULL


class _Stage(msgspec.Struct, rename="camel"):
    instance_name: str = ""
    stage_name: str = ""
    output_lanes: tuple[str, ...] | None = ()
    configuration: list[_Value] | None = None


class _Config(msgspec.Struct, rename="camel"):
    uuid: str | None = None
    title: str | None = None
    configuration: list[_Value] | None = None
    stages: list[_Stage] | None = None
    stats_aggregator_stage: _Stage | None = None
    metadata: dict[str, Raw] | None = None


_config_decoder = msgspec.json.Decoder(_Config)
_constants_decoder = msgspec.json.Decoder(list[_Constant])


def read_definition(text: str) -> Definition:
    """Read a pipeline definition (engine-protocol, 8).

    Raises
    ------
    ValueError
        When the text is not a pipeline definition.
    """
    config = _config_decoder.decode(text)
    if config.uuid is None:
        raise ValueError("uuid cannot be null")
    constants = _constants(config)
    aggregator = config.stats_aggregator_stage
    period = constants.get("UPDATE_WAIT_TIME_MS", 0)
    if aggregator is not None and aggregator.stage_name != STATS_TO_HUB:
        period = -1
    elif period is None:
        period = DEFAULT_METRICS_PERIOD_MS
    period = int(period)
    metadata = {key: _scalar(value) for key, value in (config.metadata or {}).items()}
    origin = _values(config.stages[0].configuration) if config.stages else {}
    time_series = constants.get("TIME_SERIES_ANALYSIS")
    return Definition(
        title=config.title,
        stages=tuple(StageShape(s.instance_name, s.output_lanes or ()) for s in config.stages or ()),
        job_id=str(constants.get("JOB_ID") or ""),
        commit_id=str(constants.get("PIPELINE_COMMIT_ID") or ""),
        time_series=time_series is None or bool(time_series),
        metrics_period_ms=max(period, SHORTEST_PERIOD_MS) if period > 0 else period,
        metadata={key: value for key, value in metadata.items() if isinstance(value, str)},
        batch_records=_number(origin.get("batchSize"), BATCH_RECORDS, 0, MAX_BATCH_RECORDS),
        batch_ms=_number(origin.get("delay"), BATCH_MS, SHORTEST_BATCH_MS, LONGEST_BATCH_MS),
    )


def _constants(config: _Config) -> dict[str, Any]:
    text = _values(config.configuration).get("constants")
    return {} if text is None else {c.key: _scalar(c.value) for c in _constants_decoder.decode(text) if c.key}


def _values(entries: list[_Value] | None) -> dict[str, Raw]:
    return {entry.name: entry.value for entry in entries or () if entry.value != _NULL}


def _scalar(value: Raw) -> Any:
    """Return a text, number, boolean or null; None for anything larger."""
    return None if bytes(memoryview(value)[:1]) in (b"[", b"{") else msgspec.json.decode(value)


def _number(value: Raw | None, default: int, least: int, most: int) -> int:
    """Return a whole number within bounds; the default for a text, such as ``${batchSize}``."""
    number = None if value is None else _scalar(value)
    return default if not isinstance(number, int) else min(max(number, least), most)
