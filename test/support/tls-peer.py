# A TLS client that shows and does what libraries hide: close_notify and FIN each for itself. Driven by lines on its standard input,
# tells what happens in lines on its standard output. Started by tls-peer.ts.
#
#   send TEXT   notify (close_notify)   fin   reset
#   ready VERSION CIPHER ALPN RESUMED   data TEXT   notify   fin   reset   failed WHY

import os
import select
import socket
import ssl
import struct
import sys

host, port, ca, name, version = sys.argv[1:6]
context = ssl.create_default_context(cafile=ca)
if version == "1.2":
    context.maximum_version = ssl.TLSVersion.TLSv1_2
connection = socket.create_connection((host, int(port)))
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
state = "handshake"


def tell(*words):
    print(*words, flush=True)


def flush():
    pending = outgoing.read()
    if pending:
        connection.sendall(pending)


def advance():
    global state
    if state == "handshake":
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        state = "open"
        cipher = tls.cipher()
        tell("ready", tls.version(), cipher[0] if cipher else "-", tls.selected_alpn_protocol() or "-", tls.session_reused)
    while state == "open":
        try:
            data = tls.read(65536)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLEOFError:
            state = "cut"
            return
        if not data:
            state = "notified"
            tell("notify")
            return
        tell("data", data.decode("latin1").replace("\n", "\\n"))


def obey(line):
    word, _, rest = line.partition(" ")
    if word == "send":
        tls.write(rest.encode())
    elif word == "notify":
        try:
            tls.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLError):
            pass
    elif word == "fin":
        flush()
        connection.shutdown(socket.SHUT_WR)
    elif word == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        sys.exit(0)


commands = b""
reads = [connection, sys.stdin.fileno()]
try:
    advance()
    flush()
    while True:
        for ready in select.select(reads, [], [])[0]:
            if ready is connection:
                try:
                    chunk = connection.recv(65536)
                except ConnectionResetError:
                    tell("reset")
                    sys.exit(0)
                if chunk:
                    incoming.write(chunk)
                else:
                    incoming.write_eof()
                    reads.remove(connection)
                advance()
                if not chunk:
                    tell("fin")
            else:
                chunk = os.read(sys.stdin.fileno(), 65536)
                if not chunk:
                    sys.exit(0)
                commands += chunk
                while b"\n" in commands:
                    line, commands = commands.split(b"\n", 1)
                    obey(line.decode())
            flush()
except ssl.SSLError as error:
    flush()
    tell("failed", error.reason or error)
except OSError as error:
    tell("failed", type(error).__name__)
