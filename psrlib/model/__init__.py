"""Noise models, and drawing organizations from them; ``psrlib.model.fit`` fits them to production stats.

Drawing is exact integer arithmetic and needs neither scikit-learn nor pandas.
"""

from psrlib.model.noise_model import NoiseModel, OrganizationDraws
from psrlib.model.table import QuantileTable

__all__ = ["NoiseModel", "OrganizationDraws", "QuantileTable"]
