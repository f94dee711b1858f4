"""How long ``prefs --help`` takes beside a bare start of the interpreter.

    python -m bench.start

Median of twenty each, in turn, with compiled modules as an installation has them; at most five times
a bare start. Some seconds.
"""

import os
import statistics
import subprocess
import sys
import time

TIMES = 20
MARK = 5.0


def main() -> None:
    _seconds("-m", "prefs", "--help")
    bare, helped = [], []
    for _ in range(TIMES):
        bare.append(_seconds("-c", "pass"))
        helped.append(_seconds("-m", "prefs", "--help"))
    ratio = statistics.median(helped) / statistics.median(bare)
    print(f"bare start    median {1000 * statistics.median(bare):6.1f} ms")
    print(f"prefs --help  median {1000 * statistics.median(helped):6.1f} ms")
    print(f"  {'met   ' if ratio <= MARK else 'MISSED'} ratio {ratio:.2f}, mark <= {MARK}")


def _seconds(*arguments: str) -> float:
    started = time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
