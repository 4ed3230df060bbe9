"""Roles of users: which of them let a hub's user create what a seed document gives him to own."""

from psrlib.seed.vocabulary import ROLES

# Roles without which a hub lets nobody create these things (control-hub-rest, 3.4); owners have them all.
CREATOR_ROLES = {"pipelinestore:pipelineEditor", "jobrunner:operator", "topology:editor", "notification:user"}
KEEPING_ROLES = ("scheduler:operator", "connection:editor")


def first_roles(n: int, owns: int) -> list[str]:
    """Return the first ``n`` roles that a user has, at least one; whoever owns something has what that takes.

    Examples
    --------
    >>> first_roles(2, 0), len(first_roles(2, 1))
    (['user', 'org-user'], 8)
    """
    roles = ROLES[: max(1, n)]
    needed = [*sorted(CREATOR_ROLES), *KEEPING_ROLES] if owns else []
    return creators_roles(roles + [role for role in needed if role not in roles])


def may_create(roles: list[str]) -> bool:
    """Whether roles let a user create pipelines, jobs, topologies and subscriptions."""
    return set(roles) >= CREATOR_ROLES


def creators_roles(roles: list[str]) -> list[str]:
    """Return a user's roles; who may create pipelines and jobs also schedules jobs and keeps connections."""
    return roles + [role for role in KEEPING_ROLES if role not in roles] if may_create(roles) else roles
