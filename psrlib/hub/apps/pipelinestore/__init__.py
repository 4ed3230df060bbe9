"""Pipelinestore app: pipelines and their commits."""
