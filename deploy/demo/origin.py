#!/usr/bin/python3
"""A small HTTP server to proxy to: answers every request with its own name.

usage: origin.py ADDRESS PORT NAME"""
import socket
import socketserver
import sys


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while self.rfile.readline():
                length = 0
                while True:
                    line = self.rfile.readline().strip().lower()
                    if not line:
                        break
                    if line.startswith(b"content-length:"):
                        length = int(line[15:])
                self.rfile.read(length)
                self.wfile.write(self.server.answer)
        except ConnectionError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def main():
    host, port, name = sys.argv[1:]
    body = f"hello from {name}\n".encode()
    with Server((host, int(port)), Handler) as server:
        server.answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" \
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
