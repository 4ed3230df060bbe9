"""The hub's own page for people, and its figures for Prometheus."""
