"""The noise model: marginals, dependence, archetypes, fitting, goodness of fit."""
