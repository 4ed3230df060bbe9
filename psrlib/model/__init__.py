"""Noise models: fitting them to production stats, and drawing organizations from them."""

from psrlib.model.noise_model import NoiseModel, OrganizationDraws
from psrlib.model.table import QuantileTable

__all__ = ["NoiseModel", "OrganizationDraws", "QuantileTable"]
