"""Provisioning app of release 4: environments, deployments and engine versions of the self-managed kind."""
