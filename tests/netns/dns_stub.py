#!/usr/bin/python3
"""dns_stub.py NAME PORT ADDRESS...: answers whatever comes by UDP and TCP with NAME."""
import selectors
import socket
import sys

name, port = sys.argv[1].encode(), int(sys.argv[2])
selector = selectors.DefaultSelector()
for address in sys.argv[3:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        s = socket.socket(family, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        if kind == socket.SOCK_STREAM:
            s.listen()
        selector.register(s, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        s = key.fileobj
        if s.type == socket.SOCK_DGRAM:
            s.sendto(name, s.recvfrom(512)[1])
        else:
            connection, _ = s.accept()
            connection.sendall(name + b"\n")
            connection.close()
