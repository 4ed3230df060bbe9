"""Production stats sets: schema, reading, checking, summary, anonymizing."""
