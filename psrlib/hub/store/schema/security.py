"""Tables of the security app: organizations, users, groups, sessions, components, audits."""

from sqlalchemy import Index

from psrlib.hub.store.schema.columns import audit, flag, json, moment, number, serial, table, text

meta = table(
    "meta",
    "Facts about the database itself",
    text("key", "Name of the fact, such as schema_version", primary_key=True),
    text("value", "Its value"),
)

organizations = table(
    "organizations",
    "Tenants of the hub",
    text("id", "Organization id, chosen by the creator", primary_key=True),
    text("name", "Display name"),
    text("primary_admin_id", "User id of the first administrator"),
    flag("active", "False: nobody of the organization can log in", default=True),
    number("password_expiry_ms", "Life of a password in milliseconds"),
    text("valid_domains", "Trusted mail domains, * for all"),
    flag("external_auth_enabled", "SAML flag, stored only"),
    *audit(),
)

configs = table(
    "configs",
    "Configuration values that differ from the built-in defaults",
    text("organization", "Organization id; empty for the global configuration", primary_key=True),
    text("id", "Configuration id", primary_key=True),
    text("value", "Value as text"),
)

users = table(
    "users",
    "Users of all organizations",
    text("id", "User id, name@organization", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Display name"),
    text("email", "Mail address", default=""),
    text("name_in_org", "LDAP or SAML name", nullable=True),
    json("roles", "JSON list of role ids"),
    flag("active", "False: cannot log in", default=True),
    text("password_hash", "argon2 hash; null while the generated password holds", nullable=True),
    flag("password_generated", "True until the user changes the password", default=True),
    moment("password_expiry_time", "When the password expires"),
    flag("deleted", "Soft delete"),
    moment("delete_time", "When the user was deleted"),
    text("destroyer", "Who deleted the user", nullable=True),
    *audit(),
    Index("users_by_organization", "organization", "id"),
)

groups = table(
    "groups",
    "Groups of all organizations; all@<organization> has every user without member rows",
    text("id", "Group id, name@organization", primary_key=True),
    text("organization", "Organization id"),
    text("name", "Display name"),
    json("roles", "JSON list of role ids"),
    json("external_group_ids", "JSON list of LDAP groups", nullable=True),
    flag("deleted", "Soft delete"),
    moment("delete_time", "When the group was deleted"),
    text("destroyer", "Who deleted the group", nullable=True),
    *audit(),
    Index("groups_by_organization", "organization", "id"),
)

group_members = table(
    "group_members",
    "Membership of users in groups other than all@<organization>",
    text("group_id", "Group id", primary_key=True),
    text("user_id", "User id", primary_key=True),
    Index("group_members_by_user", "user_id"),
)

sessions = table(
    "sessions",
    "Logged-in users; the token itself is not stored",
    text("token_hash", "SHA-256 of the session token", primary_key=True),
    text("user_id", "User id"),
    text("organization", "Organization id"),
    text("user_name", "Display name at login"),
    text("email", "Mail address at login"),
    text("organization_name", "Organization name at login"),
    json("roles", "JSON list of role ids at login: changes take effect at the next login"),
    json("groups", "JSON list of group ids at login"),
    moment("created_on", "Login time"),
    moment("expires_on", "When the session ends by itself"),
    number("login_audit", "Row of login_audits"),
    Index("sessions_by_user", "user_id"),
)

components = table(
    "components",
    "Component tokens: engines, agents, API credentials; the token itself is not stored",
    text("token_hash", "SHA-256 of the component token", primary_key=True),
    text("id", "Component id: hub-made until registration binds the engine's own id", unique=True),
    text("organization", "Organization id"),
    text("type", "Component type such as dc"),
    text("user_id", "User the credential acts for; null for engines and agents", nullable=True),
    text("name", "Name of an API credential", nullable=True),
    flag("active", "False: refused", default=True),
    flag("registered", "True once an engine registered with the token"),
    json("attributes", "JSON object of registration attributes", default={}),
    moment("attributes_updated_on", "Last registration"),
    moment("generated_on", "When the token was made"),
    moment("registered_on", "First registration"),
    text("registered_by", "User who made the token", default=""),
    moment("last_validated_on", "Last use seen, written in batches"),
    Index("components_by_organization", "organization", "type"),
)

login_audits = table(
    "login_audits",
    "Logins, failed ones included",
    serial("id", "Arrival order"),
    text("organization", "Organization id"),
    text("user_id", "User id"),
    text("ip_address", "Caller's address"),
    text("user_agent", "Caller's User-Agent", default=""),
    moment("login_time", "When"),
    moment("logout_time", "When the session ended; 0 while open"),
    text("logout_user", "Who ended the session", nullable=True),
    text("logout_reason", "Why the session ended", nullable=True),
    flag("success", "Whether the login succeeded"),
    text("details", "Why a login failed", default=""),
    Index("login_audits_by_organization", "organization", "login_time"),
)

action_audits = table(
    "action_audits",
    "Changes of users and groups",
    serial("id", "Arrival order"),
    text("organization", "Organization id"),
    text("action", "Action such as USER_CREATE"),
    text("affects_user", "User or group id"),
    text("requester_id", "User id of the caller"),
    text("field_type", "What changed", default=""),
    text("old_value", "Before", nullable=True),
    text("new_value", "After", nullable=True),
    moment("time", "When"),
    text("ip_address", "Caller's address"),
    Index("action_audits_by_organization", "organization", "time"),
)
