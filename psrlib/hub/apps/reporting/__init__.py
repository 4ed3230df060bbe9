"""Reporting app."""
