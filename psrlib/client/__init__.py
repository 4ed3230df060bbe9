"""The REST client of a Control Hub 3.x."""
