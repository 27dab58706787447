#!/usr/bin/python3
"""ask.py HOST PORT [SOURCE-PORT]: sends a datagram; prints the answer, or the error's name."""
import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as s:
    s.settimeout(2)
    try:
        if len(sys.argv) > 3:
            s.bind(("", int(sys.argv[3])))
        # Connected: an answer from another address than the one asked would not arrive.
        s.connect((host, port))
        s.send(b"query")
        print(s.recv(512).decode())
    except OSError as e:
        print("error", type(e).__name__)
