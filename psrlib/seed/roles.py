"""Roles of users: which of them let a hub's user create what a seed document gives him to own."""

# Roles without which a hub lets nobody create these things (control-hub-rest, 3.4); owners have them all.
CREATOR_ROLES = {"pipelinestore:pipelineEditor", "jobrunner:operator", "topology:editor", "notification:user"}
KEEPING_ROLES = ("scheduler:operator", "connection:editor")


def may_create(roles: list[str]) -> bool:
    """Whether roles let a user create pipelines, jobs, topologies and subscriptions."""
    return set(roles) >= CREATOR_ROLES


def creators_roles(roles: list[str]) -> list[str]:
    """Return a user's roles; who may create pipelines and jobs also schedules jobs and keeps connections."""
    return roles + [role for role in KEEPING_ROLES if role not in roles] if may_create(roles) else roles
