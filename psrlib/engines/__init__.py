"""Engines: the protocol, the mock fleet, configuration for real ones."""
