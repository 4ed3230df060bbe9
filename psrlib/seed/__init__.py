"""Seed documents: random streams, generator, schema, pipeline documents, variables."""
