"""Fill an empty StreamSets Control Hub with reproducible, production-like background noise."""

import os

# Before numpy is imported: matrices here are small. A second thread of OpenBLAS waits by spinning, which made
# fits and verifications take three times as much of the processor, and longer too. Set it to have more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
