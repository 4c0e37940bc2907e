# A stand-in for a service manager: prints each datagram that arrives, as a line of JSON, and `ready` first.
# Usage: python3 notified.py SOCKET     a path, or @name for the abstract namespace

import json
import socket
import sys

path = sys.argv[1]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind("\0" + path[1:] if path.startswith("@") else path)
print('"ready"', flush=True)
while True:
    print(json.dumps(manager.recv(65536).decode()), flush=True)
