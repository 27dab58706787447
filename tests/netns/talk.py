#!/usr/bin/python3
"""talk.py http HOST PORT | tcp HOST PORT [TEXT]... | admin PORT METHOD PATH: one connection.

Prints what came back on one line: of HTTP the status, the response's x-plugin header and the
body; of TCP the answer to each text; "closed" if the connection was accepted and ended without a
byte, "refused" if it was not accepted. Of admin, the body as it is."""
import http.client
import socket
import sys


def respond(host, port, method, path):
    c = http.client.HTTPConnection(host, int(port), timeout=5)
    c.request(method, path)
    return c.getresponse()


def ask_admin(port, method, path):
    return respond("127.0.0.1", port, method, path).read().decode().rstrip("\n")


def ask_http(host, port):
    r = respond(host, port, "GET", "/healthz")
    return "%d plugin=%s %s" % (r.status, r.getheader("x-plugin", "-"), r.read().decode().strip())


def ask_tcp(host, port, *texts):
    with socket.create_connection((host, int(port)), 5) as s, s.makefile() as reader:
        answers = []
        for text in texts or ("hello",):
            s.sendall(text.encode() + b"\n")
            answers.append(reader.readline().strip() or "closed")
        return " ".join(answers)


try:
    ask = {"http": ask_http, "tcp": ask_tcp, "admin": ask_admin}[sys.argv[1]]
    print(ask(*sys.argv[2:]))
except ConnectionRefusedError:
    print("refused")
except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
    print("closed")
except OSError as e:
    print("error", type(e).__name__)
