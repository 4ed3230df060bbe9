"""Exact, structural and statistical checks of a populated hub."""
