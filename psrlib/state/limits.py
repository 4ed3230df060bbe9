"""Configuration fields of the seed document and the entries of a hub that hold them.

Only ``dpm.enable.events`` is attested as an id (control-hub-rest, 2.3); the limits are found by the words of
their labels, so that a hub with other ids or slightly other labels is understood. Hubs of the 4.x line may
call them by the vendor's names, such as ``JOBRUNNER_MAX_ORGANIZATION_JOBS`` (control-hub-4x, 4.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psrlib.client.wire import Json
from psrlib.seed.document import Config


@dataclass(frozen=True)
class Words:
    """An entry's label (or id) must hold one word of each tuple in ``needed`` and none of ``without``."""

    needed: tuple[tuple[str, ...], ...]
    without: tuple[str, ...] = ()

    def match(self, label: str) -> bool:
        """Whether the entry with a label (its id when it has none) is meant."""
        text = label.lower().replace("_", " ").removeprefix("jobrunner ")
        return all(any(word in text for word in words) for words in self.needed) and not any(
            word in text for word in self.without
        )


MAXIMUM = ("maximum number", "max", "limit")
ENGINES = ("data collector", "execution engine", "engine", "datacollector")
FIELDS = {
    "subscriptions_enabled": Words((("event",), ("subscription", "dpm.enable.events", "enable events"))),
    "max_users": Words((MAXIMUM, ("user",)), without=("group", "credential")),
    "max_engines": Words((MAXIMUM, ENGINES), without=("heartbeat", "interval", "threshold")),
    "max_pipelines": Words((MAXIMUM, ("pipeline",)), without=("commit", "running", "version")),
    "max_jobs": Words((MAXIMUM, ("jobs",)), without=("run", "history", "schedul")),
    "max_job_runs": Words((MAXIMUM, ("job run", "runs"), ("job",)), without=("schedul",)),
    "max_scheduled_runs": Words((MAXIMUM, ("schedul",), ("run",)), without=("running",)),
}
EVENTS_ID = "dpm.enable.events"


def find_entries(entries: Sequence[Json]) -> dict[str, Json]:
    """Return configuration field -> entry; fields that the hub does not publish are left out.

    Where several labels fit, the organization's own entry is preferred to one called a system limit.
    """
    found: dict[str, Json] = {}
    for field, words in FIELDS.items():
        fitting = [entry for entry in entries if words.match(str(entry.get("name") or entry.get("id") or ""))]
        if field == "subscriptions_enabled":
            fitting = [entry for entry in entries if entry.get("id") == EVENTS_ID] or fitting
        fitting.sort(key=lambda entry: "system limit" in str(entry.get("name") or "").lower())
        if fitting:
            found[field] = fitting[0]
    return found


def read_config(entries: Sequence[Json]) -> tuple[Config, set[str]]:
    """Return the configuration of an organization and the fields its hub does not publish."""
    found = find_entries(entries)
    values = {field: entry.get("value") for field, entry in found.items()}
    events = str(values.pop("subscriptions_enabled", None)).lower() == "true"
    limits = {field: _number(value) for field, value in values.items()}
    return Config(subscriptions_enabled=events, **limits), set(FIELDS) - set(found)


def entry_values(config: Config, entries: Sequence[Json]) -> dict[str, str]:
    """Return entry id -> value that brings ``entries`` to ``config``; {} when they agree."""
    current, _ = read_config(entries)
    values = {}
    for field, entry in find_entries(entries).items():
        wanted = getattr(config, field)
        if wanted is not None and wanted != getattr(current, field):
            values[str(entry["id"])] = str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
    return values


def _number(value: object) -> int | None:
    """Return a limit; None for -1 and for what is no number, both of which mean that there is none."""
    try:
        number = int(float(str(value)))
    except ValueError:
        return None
    return None if number == -1 else number
