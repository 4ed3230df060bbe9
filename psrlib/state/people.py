"""Organization, configuration, groups and users."""

from collections.abc import Callable
from functools import partial

from psrlib.client import ControlHub
from psrlib.client.apps.security import SETTINGS
from psrlib.client.wire import Json
from psrlib.errors import AuthenticationError, HubError
from psrlib.seed.document import Group, Organization, User
from psrlib.state.create_once import TAKEN, create_named, naming
from psrlib.state.details import GROUP_ROLES
from psrlib.state.limits import entry_values
from psrlib.state.organization_work import OrganizationWork
from psrlib.state.schedule import Call, Steps

DELETED = (
    " though the Control Hub does not list it; what is deleted keeps its id: after a teardown, take an empty "
    "database, or other organizations ({})"
)


def people_steps(work: OrganizationWork) -> Steps[None]:
    """Create what is missing; afterwards the administrator can log in."""
    if work.found is None:
        yield [partial(_create_organization, work)]
    calls: list[Call] = [partial(_configure, work)]
    if work.found is None:
        calls.append(partial(_open_new_administrator, work))
    yield calls
    yield [partial(_create_group, work, group) for group in work.missing("groups")]
    others = [user for user in work.missing("users") if user is not work.desired.users[0]]
    create = _invite_user if work.hub.dialect.adopts else _create_user
    yield [partial(create, work, user) for user in others]


def user_body(work: OrganizationWork, user: User) -> Json:
    """Return the wire form of a user, without roles this hub does not know: some ids are new (3.4)."""
    known = work.hub.role_ids()
    group_ids = {group.key: work.group_id(group) for group in work.desired.groups}
    return {
        "id": work.user_id(user.key),
        "name": user.name,
        "email": user.email,
        "roles": [role for role in user.roles if role in known] if known else user.roles,
        "groups": [f"all@{work.organization}", *(group_ids[key] for key in user.groups)],
    }


def organization_body(desired: Organization) -> Json:
    """Return what of an organization's record populating sets."""
    return {**SETTINGS, "name": desired.name, "active": True, "primaryAdminId": desired.users[0].id}


def _create(
    work: OrganizationWork,
    kind: str,
    key: str,
    id: str,
    create: Callable[[], object],
    find: Callable[[], list[Json]],
    taken: str = "",
) -> None:
    """Create what has its id from us; ``taken`` says why a hub may refuse an id, with {} for its words."""

    def attempt(_: object) -> list[Json]:
        create()
        return [{"id": id}]

    try:
        with naming(work.desired.id, kind, [id]):
            create_named({id: id}, attempt, find, lambda row: str(row["id"]), work.lost)
    except HubError as error:
        if error.status in TAKEN and taken:
            message = f"{kind[:-1]} {id} was refused{taken.format(error)}"
            raise HubError(message, error.status, error.codes) from error
        raise
    work.note(kind, key, {"id": id})


def _create_organization(work: OrganizationWork) -> None:
    desired, security = work.desired, work.hub.security
    admin = user_body(work, desired.users[0])
    create = partial(security.create_organization, desired.id, desired.name, admin)
    taken = f"; if it appeared just now, another populate is at work on {work.hub.url}: {{}}"
    _create(work, "organizations", desired.id, desired.id, create, security.organizations, taken)
    work.note("users", desired.users[0].key, {"id": desired.users[0].id})


def _configure(work: OrganizationWork) -> None:
    """Bring the configuration to what is desired: one reading call per hub, one writing call."""
    entries = work.found.entries if work.found is not None else _new_entries(work)
    if values := entry_values(work.desired.config, entries):
        work.hub.configuration_of(work.desired.id).set_configs(work.organization, values)
        work.count_change("configuration")


def _new_entries(work: OrganizationWork) -> list[Json]:
    """Return the configuration every new organization has, read from the first one."""
    known = work.knowledge
    with known.lock:
        if known.new_entries is None:
            known.new_entries = work.hub.security.configs(work.desired.id)
        return known.new_entries


def open_administrator(hub: ControlHub, desired: Organization) -> None:
    """Let the first administrator log in: the vendor's bootstrap clears the generated-password flag (1.3)."""
    administrator = desired.users[0]
    rows = {row["id"]: row for row in hub.security.users(desired.id)}
    hub.security.update_user(desired.id, {**rows[administrator.id], "active": True})


def _open_new_administrator(work: OrganizationWork) -> None:
    """Log in as the administrator of an organization just made; his first password is his user id (1.3).

    Whether a hub lets a generated password log in through REST is unknown: tried once, and where it does not,
    the vendor's bootstrap comes first for every organization.
    """

    def log_in() -> bool:
        work.admin.log_in()
        return True

    if work.knowledge.use("generated_passwords_log_in", log_in, lambda e: isinstance(e, AuthenticationError)):
        return
    body = {**user_body(work, work.desired.users[0]), "groups": [f"all@{work.desired.id}"], "active": True}
    work.hub.security.update_user(work.desired.id, body)


def _create_group(work: OrganizationWork, group: Group) -> None:
    """Create a group; its only possible member so far is the administrator."""
    administrator, security = work.desired.users[0], work.security
    id, members = work.group_id(group), [administrator.id] if group.key in administrator.groups else []
    create = partial(security.create_group, work.organization, id, group.name, GROUP_ROLES, members)
    find = partial(security.groups, work.organization)
    _create(work, "groups", group.key, id, create, find, DELETED if work.found is not None else "")


def _create_user(work: OrganizationWork, user: User) -> None:
    security, organization = work.hub.security, work.desired.id
    create = partial(security.create_user, organization, user_body(work, user))
    find = partial(security.users, organization)
    _create(work, "users", user.key, user.id, create, find, DELETED if work.found is not None else "")


def _invite_user(work: OrganizationWork, user: User) -> None:
    """Invite a user, then give him name, roles and groups; one invited before is found by his address."""
    session, organization = work.admin, work.organization

    def invite(_: object) -> list[Json]:
        id = f"{session.login_service.invite(user.email)}@{organization}"
        row = session.security.user(organization, id)
        body = {**row, **user_body(work, user), "id": id, "active": True}
        session.security.update_user(organization, body, first_password=False)
        return [{"id": id, "email": user.email}]

    find = partial(session.security.users, organization)
    with naming(work.desired.id, "users", [user.email]):
        rows = create_named({user.email: user}, invite, find, lambda row: str(row.get("email")), work.lost)
    work.note("users", user.key, rows[user.email])
