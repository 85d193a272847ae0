"""python -m clickhouse_front --port 8123 --path DIR [--user NAME] [--certificate FILE], with a password in
CLICKHOUSE_FRONT_PASSWORD."""

import argparse
import os
import signal
import sys
import threading

from .access import Access
from .engine import Engine
from .server import Server


def main():
    parser = argparse.ArgumentParser(prog="clickhouse_front", description="ClickHouse's engine behind HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8123, help="port to listen on (default 8123)")
    parser.add_argument("--path", required=True, help="folder for the data")
    parser.add_argument("--user", default="default", help="the user that a password is asked of (default: default)")
    parser.add_argument("--certificate", help="PEM file with certificate and private key: TLS instead of plain HTTP")
    settings = parser.parse_args()
    password = os.environ.get("CLICKHOUSE_FRONT_PASSWORD", "")
    server = Server((settings.host, settings.port), Engine(settings.path), Access(settings.user, password))
    if settings.certificate:
        server.speak_tls(settings.certificate)
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop that this handler interrupts, so it needs a thread of its own.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {settings.host}:{settings.port}", file=sys.stderr, flush=True)
    server.serve_forever()
    # The engine's own threads would outlive the interpreter's end; what was acknowledged is on disk.
    os._exit(0)


main()
