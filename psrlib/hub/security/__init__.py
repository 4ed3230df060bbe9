"""Who may do what: access lists, roles, limits, passwords."""
