"""Security app of release 4: what a hub without passwords has instead (control-hub-4x.md, section 4)."""

import uuid
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from psrlib.hub.apps.csp.environments import create_default
from psrlib.hub.apps.security import credentials, organizations, sessions
from psrlib.hub.apps.security.credentials import (
    ApiCredentialsJson,
    ApiCredentialsRequestJson,
)
from psrlib.hub.apps.security.organizations import ConfigJson, NewOrganizationJson, OrganizationJson
from psrlib.hub.apps.security.sessions import LOGIN, LoginJson
from psrlib.hub.security import configuration
from psrlib.hub.store.text import dump, load
from psrlib.hub.web.access import SYSTEM_ORGANIZATION
from psrlib.hub.web.call import Call, Raw
from psrlib.hub.web.callers import NEVER_MS
from psrlib.hub.web.issues import IssueError, forbidden
from psrlib.hub.web.routing import ANYONE, ORG_ADMIN, SYSTEM, USER, App

app = App("security")
CONFIG = "/security/rest/v1/organizationConfig/{org}"
CONFIGS = "/security/rest/v1/organization/{org}/configs"
GLOBAL_CONFIGS = "/security/rest/v1/organizations/globalConfigs"
IP_RULES = "ipAuthRules"  # entry that holds them as JSON text
DEFAULT_ROLES = [  # of the vendor's SDK
    "user",
    "org-user",
    "connection:user",
    "csp:deployment-manager",
    "csp:environment-manager",
    "datacollector:admin",
    "jobrunner:operator",
    "notification:user",
    "pipelinestore:pipelineEditor",
    "provisioning:operator",
    "sla:editor",
    "timeseries:reader",
    "topology:editor",
]


@app.route(
    "POST",
    LOGIN,
    ANYONE,
    direct=True,
    release=4,
    choice="the system administrator of the embedded hub alone has a password, with which "
    "`psr hub credentials` plays the sign-up in the browser; users of organizations get 401",
)
async def login(call: Call, body: LoginJson) -> Raw:
    """Open a session of the system administrator."""
    if not body.user_name.endswith(f"@{SYSTEM_ORGANIZATION}"):
        message = "Nobody logs in with a password on this release; use an API credential"
        raise IssueError(401, "SECURITY_01", message)
    return await sessions.login(call, body)


@app.route(
    "PUT",
    "/security/rest/v1/organizations",
    SYSTEM,
    release=4,
    choice="the ids in the body count for nothing: the hub makes those of the organization and of its "
    "administrator; who may call it on a real hub is not known",
)
def create_organization(call: Call, body: NewOrganizationJson) -> OrganizationJson:
    """Create an organization with its first administrator."""
    org = str(uuid.uuid1())
    admin = new_user_id(org)
    new = NewOrganizationJson(
        replace(body.organization, id=org, primary_admin_id=admin),
        replace(body.organization_admin_user, id=admin, organization=org),
    )
    made = organizations.create_organization(call, new)
    create_default(call, org, admin)
    return made


def new_user_id(organization: str) -> str:
    """Return the id of a new user."""
    return f"{uuid.uuid4()}@{organization}"


@app.route(
    "POST",
    f"{credentials.BASE}/api-user-credentials",
    USER,
    release=4,
    choice="10 for each user; a system administrator's credential makes none for users of other "
    "organizations, its session does (the sign-up). Roles are those of the user when the credential is made",
)
def create_credential(call: Call, org: str, body: ApiCredentialsRequestJson) -> ApiCredentialsJson:
    """Create an API credential for the caller, or as administrator for another user."""
    if org != call.principal.organization and call.principal.expires_on == NEVER_MS:
        raise forbidden("an API credential makes others in its own organization only")
    return credentials.create_credential(call, org, body)


class OrganizationConfigJson(ConfigJson, rename="camel"):
    """A configuration entry."""

    value: str | int | bool | None = None
    default_value: str | None = None
    org_modifiable: bool | None = None
    secret: bool | None = False
    possible_values: list[str] | None = None
    depends_on_config: str | None = None
    depends_on_value: str | None = None


class IpAuthRuleJson(Struct, rename="camel"):
    """Addresses that calls may come from."""

    address: str
    bit_mask: int = 32
    rule_type: Literal["IPV4_ALLOW"] = "IPV4_ALLOW"
    comment: str | None = None


class IpRuleSetJson(Struct):
    """Which addresses calls may come from; kept, not enforced."""

    enabled: bool = False
    rules: list[IpAuthRuleJson] = []


class OrganizationConfigContainerJson(Struct, rename="camel"):
    """An organization's configuration with its rules for addresses."""

    configs: list[OrganizationConfigJson] | None = None
    ip_auth_rules: IpRuleSetJson | None = None


def _entries(entries: list[ConfigJson]) -> list[OrganizationConfigJson]:
    known = configuration.BY_ID
    return [
        OrganizationConfigJson(
            entry.id,
            entry.value,
            entry.name,
            entry.type,
            known[entry.id].default,
            not known[entry.id].system,
            possible_values=[],
        )
        for entry in entries
    ]


@app.route("GET", CONFIGS, USER, release=4, choice="as in release 3, where ids and defaults are the hub's")
def get_configs(call: Call, org: str) -> list[OrganizationConfigJson]:
    """Return an organization's configuration."""
    return _entries(organizations.get_configs(call, org))


@app.route("POST", CONFIGS, ORG_ADMIN, release=4)
def set_configs(call: Call, org: str, body: list[OrganizationConfigJson]) -> list[OrganizationConfigJson]:
    """Change an organization's configuration."""
    return _entries(organizations.set_configs(call, org, list(body)))


@app.route("GET", GLOBAL_CONFIGS, SYSTEM, release=4)
def get_global_configs(call: Call) -> list[OrganizationConfigJson]:
    """Return the global configuration."""
    return _entries(organizations.get_global_configs(call))


@app.route("POST", GLOBAL_CONFIGS, SYSTEM, release=4)
def set_global_configs(call: Call, body: list[OrganizationConfigJson]) -> list[OrganizationConfigJson]:
    """Change the global configuration; organizations with one of their own keep it."""
    return _entries(organizations.set_global_configs(call, list(body)))


@app.route("GET", CONFIG, ORG_ADMIN, release=4)
def get_config(call: Call, org: str) -> OrganizationConfigContainerJson:
    """Return an organization's configuration and its rules for addresses."""
    rules = load(configuration.values(call.db, org).get(IP_RULES)) or {}
    kept = [IpAuthRuleJson(**rule) for rule in rules.get("rules", [])]
    return OrganizationConfigContainerJson(
        get_configs(call, org), IpRuleSetJson(bool(rules.get("enabled")), kept)
    )


@app.route("POST", CONFIG, ORG_ADMIN, release=4, choice="rules are kept, not enforced")
def set_config(
    call: Call, org: str, body: OrganizationConfigContainerJson
) -> OrganizationConfigContainerJson:
    """Change an organization's configuration and its rules for addresses."""
    if body.configs is not None:
        set_configs(call, org, body.configs)
    if body.ip_auth_rules is not None:
        rules = body.ip_auth_rules
        kept = [{name: getattr(rule, name) for name in rule.__struct_fields__} for rule in rules.rules]
        configuration.save(call.db, org, {IP_RULES: dump({"enabled": rules.enabled, "rules": kept})})
        call.forget()
    return get_config(call, org)
