"""One file per Control Hub app, server side."""
