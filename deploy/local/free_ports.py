"""python3 free_ports.py COUNT: even ports that are free now, each with the next one, below those that the system hands out."""

import random
import socket
import sys


def both_free(port: int) -> bool:
    try:
        for one in (port, port + 1):
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", one))
    except OSError:
        return False
    return True


def main():
    found = set()
    while len(found) < int(sys.argv[1]):
        port = random.randrange(12000, 32000, 2)
        if both_free(port):
            found.add(port)
    print(*found)


main()
