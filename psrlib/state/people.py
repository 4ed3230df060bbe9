"""Organization, configuration, groups and users."""

from functools import partial

from psrlib.client import ControlHub
from psrlib.client.wire import Json
from psrlib.errors import AuthenticationError, HubError
from psrlib.seed.document import Group, Organization, User
from psrlib.state.create_once import TAKEN, create_named
from psrlib.state.limits import entry_values
from psrlib.state.organization_work import OrganizationWork
from psrlib.state.schedule import Call, Steps

GROUP_ROLES = ["user"]  # a group may carry the base role only (control-hub-rest, 3.3)


def people_steps(work: OrganizationWork) -> Steps[None]:
    """Create what is missing; afterwards the administrator can log in."""
    if work.found is None:
        yield [partial(_create_organization, work)]
        work.note("organizations", work.desired.id, {})
        work.note("users", work.desired.users[0].key, {"id": work.desired.users[0].id})
    groups = work.missing("groups")
    calls: list[Call] = [partial(_configure, work)]
    if work.found is None:
        calls.append(partial(_open_new_administrator, work))
    yield calls
    yield [partial(_create_group, work, group) for group in groups]
    administrator, *others = work.desired.users
    missing = {user.key for user in work.missing("users")} - {administrator.key}
    yield [partial(_create_user, work, user) for user in others if user.key in missing]


def user_body(work: OrganizationWork, user: User) -> Json:
    """Return the wire form of a user."""
    group_ids = {group.key: group.id for group in work.desired.groups}
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "roles": known_roles(work, user),
        "groups": [f"all@{work.desired.id}", *(group_ids[key] for key in user.groups)],
    }


def known_roles(work: OrganizationWork, user: User) -> list[str]:
    """Return a user's roles without those this hub does not know: some ids are newer than others (3.4)."""
    known = work.hub.role_ids()
    return [role for role in user.roles if role in known] if known else user.roles


def _create_organization(work: OrganizationWork) -> None:
    desired = work.desired
    administrator = desired.users[0]
    admin = {
        "id": administrator.id,
        "name": administrator.name,
        "email": administrator.email,
        "roles": known_roles(work, administrator),
    }

    def create(_: object) -> list[Json]:
        work.hub.security.create_organization(desired.id, desired.name, admin)
        return [{"id": desired.id}]

    find = work.hub.security.organizations
    try:
        create_named({desired.id: desired}, create, find, lambda row: str(row["id"]), work.lost)
    except HubError as error:
        if error.status in TAKEN:
            raise HubError(
                f"organization {desired.id} was refused; if it appeared just now, another populate is at "
                f"work on {work.hub.url}: {error}",
                error.status,
                error.codes,
            ) from error
        raise


def _configure(work: OrganizationWork) -> None:
    """Bring the configuration to what is desired: one reading call per hub, one writing call."""
    entries = work.found.entries if work.found is not None else _new_entries(work)
    values = entry_values(work.desired.config, entries)
    if values:
        work.hub.security.set_configs(work.desired.id, values)
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
    administrator = work.desired.users[0]
    members = [administrator.id] if group.key in administrator.groups else []
    security = work.hub.security

    def create(_: object) -> list[Json]:
        security.create_group(work.desired.id, group.id, group.name, GROUP_ROLES, members)
        return [{"id": group.id}]

    find = partial(security.groups, work.desired.id)
    create_named({group.id: group}, create, find, lambda row: str(row["id"]), work.lost)
    work.note("groups", group.key, {"id": group.id})


def _create_user(work: OrganizationWork, user: User) -> None:
    security = work.hub.security

    def create(_: object) -> list[Json]:
        return [{"id": user.id, **security.create_user(work.desired.id, user_body(work, user))}]

    find = partial(security.users, work.desired.id)
    try:
        create_named({user.id: user}, create, find, lambda row: str(row["id"]), work.lost)
    except HubError as error:
        if error.status in TAKEN and work.found is not None:
            raise HubError(
                f"user {user.id} was refused though the Control Hub lists no such user; deleted users keep "
                f"their ids: after a teardown, take an empty database ({error})",
                error.status,
                error.codes,
            ) from error
        raise
    work.note("users", user.key, {"id": user.id})
