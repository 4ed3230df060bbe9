"""Progress of a populate: a bar per kind of entity."""

from typing import NoReturn

from tqdm.auto import tqdm

from psrlib.client import AdaptiveLimit
from psrlib.client.limit import THROTTLED
from psrlib.seed.document import Organization, SeedDocument
from psrlib.state.observed import ObservedOrganization
from psrlib.words import KINDS


class Bars:
    """A progress bar per kind of entity; the first one says when the hub throttles and is waited for."""

    def __init__(self, document: SeedDocument, progress: bool, limit: AdaptiveLimit) -> None:
        self._seen: set[str] = set()
        kinds = [kind for kind in KINDS if kind != "engines"]
        totals = {kind: sum(len(getattr(o, kind)) for o in document.organizations) for kind in kinds}
        totals = {"organizations": len(document.organizations), **totals}
        disable = None if progress else True
        self._bars = {
            kind: tqdm(total=total, desc=kind.replace("_", " "), disable=disable, position=i, leave=False)
            for i, (kind, total) in enumerate((kind, total) for kind, total in totals.items() if total)
        }
        self._limit, self._tell_before = limit, limit.tell
        if not self._first.disable:
            limit.tell = self._tell

    @property
    def _first(self) -> "tqdm[NoReturn]":
        return next(iter(self._bars.values()))

    def _tell(self, waits: bool) -> None:
        self._first.set_postfix_str(THROTTLED if waits else "")

    def advance(self, kind: str, n: int) -> None:
        """Count ``n`` entities of a kind as there."""
        if kind in self._bars:
            self._bars[kind].update(n)

    def catch_up(self, desired: Organization, found: ObservedOrganization) -> None:
        """Count what is there already, at the first observation of an organization."""
        if desired.id in self._seen:
            return
        self._seen.add(desired.id)
        for kind in self._bars:
            if kind != "organizations":
                keys = {entity.key for entity in getattr(found.organization, kind)}
                self.advance(kind, sum(entity.key in keys for entity in getattr(desired, kind)))
        self.advance("organizations", 1)

    def close(self) -> None:
        """Remove the bars."""
        self._limit.tell = self._tell_before
        for bar in self._bars.values():
            bar.close()
