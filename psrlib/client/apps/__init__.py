"""One file per Control Hub app, client side."""
