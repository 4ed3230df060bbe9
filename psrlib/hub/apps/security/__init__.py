"""Security app: organizations, users, groups, sessions, components."""
