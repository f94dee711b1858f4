"""Is every opt-out on disk before it is answered? A system-call trace says so; ``kill -9`` cannot.

    python -m tests.faults.sync --database postgres --opt-outs 100

Traces the server (and PostgreSQL's processes) with strace during serial opt-outs and looks for a
sync to disk between each request and its answer. Exit 1 where one is missing.
"""

import argparse
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from prefs.domain.address import parse_address
from prefs.domain.terms import Channel
from tests.faults.service import Running, running

_SYNC = re.compile(
    r"^\d+ (\d+\.\d+) (?:fsync|fdatasync)\(.*= 0|^\d+ (\d+\.\d+) <\.\.\. (?:fsync|fdatasync) resumed>.*= 0"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], required=True)
    parser.add_argument("--opt-outs", type=int, default=100)
    wanted = parser.parse_args()
    if shutil.which("strace") is None:
        print("strace is not installed: apt-get install strace")
        return 2
    with tempfile.TemporaryDirectory() as folder, running(wanted.database, Path(folder)) as service:
        trace = Path(folder) / "trace"
        windows = _opt_outs_under_trace(service, trace, wanted.opt_outs)
        syncs = [
            float(found.group(1) or found.group(2))
            for line in trace.read_text().splitlines()
            if (found := _SYNC.match(line))
        ]
    unsynced = [window for window in windows if not any(window[0] <= at <= window[1] for at in syncs)]
    print(f"{wanted.database}: {len(windows)} opt-outs answered 200, {len(syncs)} syncs to disk,")
    print(f"{len(unsynced)} without a sync before the answer")
    return 1 if unsynced or len(windows) < wanted.opt_outs else 0


def _opt_outs_under_trace(service: Running, trace: Path, number: int) -> list[tuple[float, float]]:
    """Return when each opt-out was sent and answered, with the tracer attached meanwhile."""
    targets = [argument for pid in _processes(service) for argument in ("-p", str(pid))]
    command = ["strace", "-f", "-ttt", "-e", "trace=fsync,fdatasync", "-o", str(trace), *targets]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    time.sleep(2)  # strace says nothing once it is attached to the last one
    made = service.services()
    windows = []
    session = requests.Session()
    for _ in range(number):
        key = made.kit.address_keys.key(parse_address(Channel.EMAIL, f"{secrets.token_hex(8)}@example.com"))
        url = made.linking.for_address(Channel.EMAIL, key).unsubscribe
        sent = time.time()
        assert session.post(url, timeout=20).status_code == 200
        windows.append((sent, time.time()))
        time.sleep(0.01)  # keeps one answer's syncs apart from the next one's
    tracer.terminate()
    tracer.wait()
    return windows


def _processes(service: Running) -> list[int]:
    """Return the server's processes, and PostgreSQL's."""
    assert service.process is not None
    found = subprocess.run(["pgrep", "-g", str(service.process.pid)], capture_output=True, text=True, check=True).stdout
    if service.postgres is not None:
        postmaster = (service.postgres.data / "postmaster.pid").read_text().splitlines()[0]
        children = subprocess.run(["pgrep", "-P", postmaster], capture_output=True, text=True, check=True).stdout
        found += f"{children}{postmaster}\n"
    return [int(pid) for pid in found.split()]


if __name__ == "__main__":
    sys.exit(main())
