"""The embedded Control Hub: a real HTTP server on a real SQL database.

Why it shares no code with client and engines: docs/architecture.md.
"""

EMBEDDED = "embedded"  # stands for the address of a run's own hub wherever an address is asked for
PASSWORD_VARIABLE = "PSR_HUB_ADMIN_PASSWORD"  # of the environment: another one, at the start of the hub
DATABASE_VARIABLE = "PSR_HUB_DATABASE"  # of the environment: its SQLAlchemy URL, with the password
EMBEDDED_PASSWORD = "admin@admin"  # initial password of its system administrator
