"""``python -m bench.server --port P``: the server of ``prefs serve`` with ``bench.app`` in it."""

import argparse

from prefs.cli import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--server", default="granian")
    wanted = parser.parse_args()
    serve.run_server(
        "127.0.0.1", wanted.port, wanted.workers, server=wanted.server, application="bench.app:application"
    )


if __name__ == "__main__":
    main()
