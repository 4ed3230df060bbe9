"""A hand-written noise model that draws every kind of entity, few of each."""

from pathlib import Path

import msgspec

from psrlib import paths
from psrlib.model import NoiseModel

METRICS = {
    "users": (3, 5),
    "groups": (1, 2),
    "engines": (1, 2),
    "pipelines": (3, 5),
    "active_jobs": (2, 3),
    "inactive_jobs": (3, 4),
    "job_templates": (1, 2),
    "scheduled_tasks": (1, 2),
    "subscriptions": (2, 3),
    "topologies": (1, 1),
    "connections": (1, 2),
}


def rich_model(folder: Path) -> NoiseModel:
    """Return the model, written into a folder."""
    metrics = {name: {"family": "uniform", "low": low, "high": high} for name, (low, high) in METRICS.items()}
    limits = {"subscriptions_enabled": 1, "max_users": 50, "max_jobs": 1000}
    archetype = {"name": "rich", "weight": 1, "metrics": metrics, "limits": limits}
    details = msgspec.json.decode(paths.SAMPLE_MODEL.read_bytes())["details"]
    path = folder / "rich.json"
    path.write_bytes(
        msgspec.json.encode(
            {"format": "psr-model/1", "name": "rich", "archetypes": [archetype], "details": details}
        )
    )
    return NoiseModel.load(path)
