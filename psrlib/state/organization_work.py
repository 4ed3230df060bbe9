"""What the steps of populating one organization share: sessions, owners, the hub's records by seed key.

Why owners log in: docs/architecture.md.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

from psrlib.client import ControlHub
from psrlib.client.wire import Json, is_absent
from psrlib.errors import AuthenticationError, HubError
from psrlib.seed import document as seed
from psrlib.state.create_once import create_named, naming
from psrlib.state.observed import ObservedOrganization
from psrlib.state.reading import access, hub_id, hub_name
from psrlib.words import ADMINISTRATOR_ROLE, CREATOR_ROLES, KINDS, OWNED

T = TypeVar("T")
REFUSED = (401, 403, 404)  # how a hub may refuse a user who lacks a role, or cannot see an object
BATCHED = ("fragments", "pipelines", "jobs")  # created many at once: one more call per owner who logs in

DefinitionSize = Literal["small", "production"]
Question = Literal["has_create_jobs", "has_import", "generated_passwords_log_in"]
Automation = seed.ScheduledTask | seed.Subscription | seed.Topology
Owned = seed.Connection | seed.Fragment | seed.Pipeline | seed.Job | Automation  # entities with an owner


@dataclass
class Knowledge:
    """What populating learns about a hub, once for all organizations, where the reference is unsure.

    What is None has not been tried yet.

    Parameters
    ----------
    definition_size, authoring_engine
        As asked for: the size of pipeline definitions, and the hub's record of the engine that pipelines name
        as their author.
    has_create_jobs, has_import : bool or None
        Whether the hub has the calls that create many jobs and many pipelines at once.
    import_adds_versions : bool or None
        Whether an imported document that names a pipeline becomes that pipeline's next version.
    generated_passwords_log_in, owners_log_in : bool
        Whether a new organization's administrator, and the owners of objects, can log in with their user id.
    new_entries : list of dict
        Configuration that every new organization has.
    event_ids : dict
        Event id -> label, for subscriptions.
    task_selector, task_template : dict
        The hub's two steps to a new task; the blank task unless each task needs one of its own.
    """

    definition_size: DefinitionSize = "small"
    authoring_engine: Json | None = None
    has_create_jobs: bool | None = None
    has_import: bool | None = None
    import_adds_versions: bool | None = None
    generated_passwords_log_in: bool | None = None
    owners_log_in: bool = True
    new_entries: list[Json] | None = None
    event_ids: dict[str, str] | None = None
    task_selector: Json | None = None
    task_template: Json | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another machine may know too."""
        return {**self.__dict__, "lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, lock=threading.RLock())

    def use(
        self, question: Question, call: Callable[[], T], lacks: Callable[[HubError], bool] = is_absent
    ) -> T | None:
        """Make a call that a hub may lack; None where it does, which only the first one asks the hub."""
        with self.lock if getattr(self, question) is None else nullcontext():
            if getattr(self, question) is False:
                return None
            try:
                result = call()
            except HubError as error:
                if not lacks(error):
                    raise
                setattr(self, question, False)
                return None
            setattr(self, question, True)
            return result


class OrganizationWork:
    """One organization being populated by the system administrator, whose session ``hub`` is.

    ``found`` is what the hub holds of the organization, None when it does not exist yet.
    """

    def __init__(
        self,
        hub: ControlHub,
        document: seed.SeedDocument,
        desired: seed.Organization,
        found: ObservedOrganization | None,
        knowledge: Knowledge,
        advance: Callable[[str, int], None],
    ) -> None:
        self.hub = hub
        self.admin = hub.for_organization(desired.id)
        self.security = hub.security_of(desired.id)
        self.document = document
        self.desired = desired
        self.found = found
        self.knowledge = knowledge
        self.rows: dict[str, dict[str, Json]] = {
            "organizations": {},
            **{kind: self._known_rows(kind) for kind in KINDS},
        }
        self.created: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.lost_answers = 0
        self._not_owned: list[tuple[str, str, str]] = []  # kind, hub id, owner's user id
        self._advance = advance
        self._users: dict[str, seed.User] = {user.key: user for user in desired.users}
        self._by_login: set[str] = set()
        self._lock = threading.Lock()

    def missing(self, kind: str) -> list[Any]:
        """Return the entities of a kind that the hub lacks."""
        return [entity for entity in getattr(self.desired, kind) if entity.key not in self.rows[kind]]

    def hub_id(self, kind: str, key: str) -> str:
        """Return the hub's id of an entity that exists."""
        return hub_id(kind, self.rows[kind][key])

    def user_id(self, key: str) -> str:
        """Return the hub's id of a user."""
        row = self.rows["users"].get(key)
        return self._users[key].id if row is None else str(row["id"])

    def group_id(self, group: seed.Group) -> str:
        """Return the hub's id of a group, whose name in it is ours to choose."""
        return f"{group.id.rpartition('@')[0]}@{self.organization}"

    @property
    def organization(self) -> str:
        """The hub's id of the organization."""
        return self.admin.organization

    def note(self, kind: str, key: str, row: Json) -> None:
        """Remember the hub's record of an entity just created."""
        with self._lock:
            self.rows[kind][key] = row
            self.created[kind] += 1
        self._advance(kind, 1)

    def count_change(self, kind: str, n: int = 1) -> None:
        """Count entities that were changed."""
        with self._lock:
            self.changed[kind] += n

    def lost(self) -> None:
        """Count a lost answer: the organization is looked at once more in the end."""
        with self._lock:
            self.lost_answers += 1

    def plan_logins(self) -> list[ControlHub]:
        """Choose the owners who log in to create their objects themselves, and return their sessions.

        A login costs one call and one more per kind that is created in batches, an ACL one call per object.
        At a tie the login is better: the object's creator is its owner then, and observing needs no ACL.
        """
        if not self.knowledge.owners_log_in:
            return []
        objects: Counter[str] = Counter()
        batches: dict[str, set[str]] = {}
        for kind in OWNED:
            for entity in filter(partial(self._may_create, kind), self.missing(kind)):
                objects[entity.owner] += 1
                if kind in BATCHED:
                    batches.setdefault(entity.owner, set()).add(kind)
        admin = self.desired.users[0].key
        self._by_login = {
            owner for owner, n in objects.items() if owner != admin and n >= 1 + len(batches.get(owner, ()))
        }
        return [self.hub.for_user(self.user_id(owner)) for owner in sorted(self._by_login)]

    def log_in(self, session: ControlHub) -> None:
        """Open an owner's session; when the hub refuses, ownership goes through ACLs instead."""
        try:
            session.log_in()
        except AuthenticationError:
            self.knowledge.owners_log_in = False
            with self._lock:
                self._by_login = {key for key in self._by_login if self.user_id(key) != session.user}

    def by_owner(self, kind: str) -> list[list[Any]]:
        """Return the missing entities of a kind in groups, one for each user who creates them."""
        groups: dict[str | None, list[Any]] = {}
        for entity in self.missing(kind):
            groups.setdefault(self.actor(kind, entity), []).append(entity)
        return list(groups.values())

    def actor(self, kind: str, entity: Owned) -> str | None:
        """Return the key of the owner who creates an entity himself; None when the administrator does."""
        return entity.owner if entity.owner in self._by_login and self._may_create(kind, entity) else None

    def create(
        self,
        kind: str,
        entities: Sequence[Owned],
        create: Callable[[ControlHub, Sequence[Any]], list[Json]],
    ) -> None:
        """Create entities exactly once, as the owner who has logged in for them, else as administrator."""
        actor = self.actor(kind, entities[0])

        def attempt(remaining: Sequence[Any]) -> list[Json]:
            nonlocal actor
            if actor is not None:
                try:
                    return create(self.hub.for_user(self.user_id(actor)), remaining)
                except HubError as error:
                    if error.status not in REFUSED:
                        raise
                    actor = None
            return create(self.admin, remaining)

        by_name = {entity.name: entity for entity in entities}
        find = access(self.admin, kind).entities
        with naming(self.desired.id, kind, by_name):
            rows = create_named(by_name, attempt, find, hub_name, self.lost)
        for name, row in rows.items():
            entity = by_name[name]
            self.note(kind, entity.key, row)
            if actor is None and entity.owner != self.desired.users[0].key:
                self.must_own(kind, entity.key, entity.owner)

    def must_own(self, kind: str, key: str, owner: str) -> None:
        """Note that an entity's owner has to be set through its ACL."""
        with self._lock:
            self._not_owned.append((kind, self.hub_id(kind, key), self.user_id(owner)))

    def owner_calls(self) -> list[Callable[[], Any]]:
        """Return the ACL calls that are due, and forget them."""
        due, self._not_owned = self._not_owned, []
        return [partial(access(self.admin, kind).app.set_owner, id, owner) for kind, id, owner in due]

    def _may_create(self, kind: str, entity: Owned) -> bool:
        return not {CREATOR_ROLES[kind], ADMINISTRATOR_ROLE}.isdisjoint(self._users[entity.owner].roles)

    def _known_rows(self, kind: str) -> dict[str, Json]:
        if self.found is None:
            return {}
        entities: Iterable[Any] = getattr(self.found.organization, kind)
        known: dict[str, Json] = {}
        for entity, row in zip(entities, self.found.rows[kind], strict=True):
            if entity.key not in known or hub_id(kind, row) in self.found.referenced:
                known[entity.key] = row
        return known
