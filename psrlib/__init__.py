"""Fill an empty StreamSets Control Hub with reproducible, production-like background noise."""
