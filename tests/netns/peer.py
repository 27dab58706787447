#!/usr/bin/python3
"""peer.py PORT...: a server on all addresses of both families. Each line that comes is answered
by one that says how many connections this port has had of this family, from where this one comes,
and the line; a line that begins an HTTP/1.1 request, by a response that says so in its body."""
import http.client
import io
import itertools
import socket
import sys
import threading


def answer(line, reader, seen):
    if not line.endswith(b"HTTP/1.1"):
        return b"%s got=%s\n" % (seen, line)
    headers = http.client.parse_headers(reader)
    body = b"%s added=%s" % (seen, headers.get("x-from-plugin", "-").encode())
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def serve(s, number):
    seen = b"n=%d from=%s" % (number, s.getpeername()[0].encode())
    with s, s.makefile("rb") as reader:
        try:
            for line in reader:
                s.sendall(answer(line.rstrip(b"\r\n"), reader, seen))
        except (OSError, io.UnsupportedOperation):
            pass


def accept(listener):
    for number in itertools.count(1):
        s, _ = listener.accept()
        threading.Thread(target=serve, args=(s, number), daemon=True).start()


listeners = [socket.create_server(("", int(p)), family=family)
             for p in sys.argv[1:] for family in (socket.AF_INET, socket.AF_INET6)]
for one in listeners:
    threading.Thread(target=accept, args=(one,)).start()
print("ready", flush=True)
