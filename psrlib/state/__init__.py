"""Observe a hub, compare it with the seed document, apply the difference."""
