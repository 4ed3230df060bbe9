"""Is every entity of the seed document on the hub, with every field as it should be, and nothing else?"""

from collections import Counter, defaultdict

from psrlib.seed.document import SeedDocument
from psrlib.state.diff import Difference, Item
from psrlib.verify.check import Check, judge
from psrlib.words import KINDS

SHOWN = 60  # characters of a value quoted in a finding


def exact_checks(document: SeedDocument, difference: Difference) -> list[Check]:
    """Return one check per kind of entity, ``checked`` being the entities that the document asks for."""
    findings: dict[str, list[str]] = defaultdict(list)
    for item in difference.items:
        findings[item.kind].append(describe(item))
    n = len(document.organizations)
    counts = Counter(organizations=n, config=n)
    for organization in document.organizations:
        counts.update({kind: len(getattr(organization, kind)) for kind in KINDS})
    words = {kind: "limits" if kind == "config" else kind.replace("_", " ") for kind in counts}
    return [
        judge("exact", kind, f"Are all {words[kind]} as the seed document says?", n, findings[kind])
        for kind, n in counts.items()
    ]


def describe(item: Item) -> str:
    """Return a deviation as one line.

    Examples
    --------
    >>> describe(Item("org-0001", "jobs", "Load orders", "instances", "different", 2, 1))
    'org-0001: jobs "Load orders": instances should be 2, is 1'
    """
    entity = f'{item.organization}: {item.kind} "{item.name}"'
    if item.change == "missing":
        return f"{entity} is missing"
    if item.change == "extra":
        return f"{entity} is not in the seed document"
    return f"{entity}: {item.field} should be {_short(item.desired)}, is {_short(item.observed)}"


def _short(value: object) -> str:
    text = str(value) if str(value) else '""'
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
