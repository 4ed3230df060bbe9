"""Topology app: topologies and their commits."""
