"""What a hub was like while a PSR ran: recorded call by call, and compared with another time."""

from psrlib.watch.background import Background, background_of, load_background
from psrlib.watch.compare import Aspect, Comparison, compare
from psrlib.watch.recorder import watch_hub

__all__ = ["Aspect", "Background", "Comparison", "background_of", "compare", "load_background", "watch_hub"]
