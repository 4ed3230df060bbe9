"""The embedded Control Hub: a real HTTP server on a real SQL database."""
