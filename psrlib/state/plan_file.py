"""A plan kept as a file: what populating will do, to be looked at, and done only as long as it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from psrlib.client import ControlHub
from psrlib.errors import InputError
from psrlib.files import replace_file
from psrlib.seed.document import SeedDocument
from psrlib.state.diff import diff
from psrlib.state.estimate import Estimate
from psrlib.state.observe import observe

FORMAT = "psr-plan/1"
SHOWN = 3  # changes named in an error


@dataclass(frozen=True)
class Target:
    """What a plan is for: a seed document, by its digest and the values its variables got, and a hub.

    ``hub`` is the address, or ``embedded``; ``definition_size`` is that of `psrlib.state.populate`.
    """

    seed_sha256: str
    settings: Mapping[str, str]
    hub: str
    definition_size: str


class Change(msgspec.Struct, frozen=True):
    """One thing to do, as `psrlib.state.diff.Item.record` tells it."""

    organization: str
    kind: str
    name: str
    change: str
    field: str = ""
    desired: Any = None
    observed: Any = None

    def __str__(self) -> str:
        """Return what and where."""
        return f'{self.kind.replace("_", " ")} "{self.name}" of {self.organization} {self.change}'


class PlanFile(msgspec.Struct, frozen=True):
    """What is read of a plan file; the rest of it is that of `psrlib.state.estimate.Estimate.record`."""

    format: str
    made_at: str
    target: Target
    difference: list[Change]
    foreign: list[str]


def save_plan(plan: Estimate, target: Target, path: Path) -> Path:
    """Write a plan and return its path; InputError when it cannot be written."""
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    text = msgspec.json.encode({"format": FORMAT, "made_at": made_at, "target": target, **plan.record()})
    return replace_file(path, msgspec.json.format(text, indent=1) + b"\n")


def check_plan(path: Path, target: Target, document: SeedDocument, hub: ControlHub) -> None:
    """Refuse a plan that is of something else, or that the hub no longer fits; reads the hub.

    Raises
    ------
    InputError
        If the file is no plan, is of another seed document, hub or size of definitions, or what is to be
        done has changed since it was made; nothing was changed on the hub.
    """
    plan = _load(path)
    again = "make a new plan with psr populate --plan -o"
    meant = asdict(target)
    for name, planned in asdict(plan.target).items():
        if planned != (now := meant[name]):
            raise InputError(f"{path}: the plan is of {name} {planned}, here it is {now}; {again}")
    observed = observe(document, hub)
    found = [Change(**item.record()) for item in diff(document, observed, runtime=False).items]
    changes = [
        *(f"{change} (planned, and no longer to be done)" for change in _without(plan.difference, found)),
        *(f"{change} (not planned)" for change in _without(found, plan.difference)),
        *(f"organization {id} is new" for id in observed.foreign if id not in plan.foreign),
    ]
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise InputError(
            f"{path}: the Control Hub has changed since this plan was made ({plan.made_at}): "
            f"{'; '.join(changes[:SHOWN])}{more}; {again}"
        )


def _load(path: Path) -> PlanFile:
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=PlanFile)
    except OSError as error:
        raise InputError(f"{path}: the plan cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: no plan of psr populate --plan -o ({error})") from error
    if plan.format != FORMAT:
        raise InputError(f'{path}: expected a plan of format "{FORMAT}", got "{plan.format}"')
    return plan


def _without(changes: Sequence[Change], others: Sequence[Change]) -> list[Change]:
    known = {msgspec.json.encode(change, order="sorted") for change in others}
    return [change for change in changes if msgspec.json.encode(change, order="sorted") not in known]
