"""Jobrunner app: jobs, their runs and engines."""
