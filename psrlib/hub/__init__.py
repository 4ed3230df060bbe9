"""The embedded Control Hub: a real HTTP server on a real SQL database.

Why it shares no code with client and engines: docs/architecture.md.
"""

EMBEDDED = "embedded"  # stands for the address of a run's own hub wherever an address is asked for
EMBEDDED_PASSWORD = "admin@admin"  # initial password of its system administrator
