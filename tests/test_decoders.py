"""Types that many threads meet at once for the first time."""

import subprocess
import sys

# Three hundred times new classes, which six threads meet at the same moment
PROGRAM = """
import sys, threading, types, msgspec
from psrlib.decoders import decoder_of

sys.setswitchinterval(1e-6)
TEXT = '''
class Part(msgspec.Struct):
    {fields}
class Whole(msgspec.Struct):
    a: str
    b: list[Part]
    c: Part | None = None
    d: str | None = None
'''
FIELDS = "; ".join(f"f{i}: 'str | dict[str, int] | None' = None" for i in range(20))

def meet(kind, together):
    together.wait()
    decoder_of(kind)
    msgspec.convert({"a": "x", "b": [{"f0": "y"}], "d": "z"}, kind)

for number in range(300):
    module = sys.modules[f"m{number}"] = types.ModuleType(f"m{number}")
    module.msgspec = msgspec
    exec(TEXT.format(fields=FIELDS), module.__dict__)
    together = threading.Barrier(6)
    threads = [threading.Thread(target=meet, args=(module.Whole, together)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_threads_meet_a_new_type_one_after_the_other() -> None:
    """With ``msgspec.convert`` alone the process dies of a segmentation fault within a few classes."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (0, "")
