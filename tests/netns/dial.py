#!/usr/bin/python3
"""dial.py HOST PORT [SOURCE]: connects, prints the line that comes back, or the error's name."""
import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM) as s:
    s.settimeout(3)
    try:
        if len(sys.argv) > 3:
            s.bind((sys.argv[3], 0))
        s.connect((host, port))
        print(s.makefile().readline().strip() or "closed")
    except OSError as e:
        print("error", type(e).__name__)
