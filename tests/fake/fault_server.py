"""An HTTP(S) server that misbehaves on request, for tests of downloads.

Paths: /good.wasm, /good.wasm.gz, /good.tar, /good.tar.gz, /slow, /truncated, /bomb.gz, /404, /503,
/flaky (503 once per name, then good), /loop, /redirect?to=URL, /drip (a byte now and then),
/endless (never stops), /empty, /big?n=BYTES. The server counts requests per path in .seen and
keeps the headers of the last one in .last.
"""
import gzip
import http.server
import io
import ssl
import tarfile
import threading
import time
import urllib.parse
import zlib

MODULE = b"\0asm\1\0\0\0" + bytes(range(256)) * 16


def tar_of(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def bomb(megabytes):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    return b"".join([packer.compress(zeros) for _ in range(megabytes)] + [packer.flush()])


BODIES = {
    "/good.wasm": MODULE,
    "/good.wasm.gz": gzip.compress(MODULE),
    "/good.tar": tar_of("dir/any.wasm", MODULE),
    "/good.tar.gz": gzip.compress(tar_of("any.wasm", MODULE)),
    "/nested": gzip.compress(gzip.compress(gzip.compress(gzip.compress(MODULE)))),
    "/bomb.gz": bomb(300),
    "/text": b"<html>not a module</html>",
    "/empty": b"",
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, body, status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, chunk, pause, times):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for _ in range(times):
            if self.server.stopping.wait(pause):
                return
            self.wfile.write(chunk)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        seen = self.server.seen[url.path] = self.server.seen.get(url.path, 0) + 1
        self.server.last = self.headers
        try:
            self.route(url, query, seen)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def route(self, url, query, seen):
        if url.path in BODIES:
            self.answer(BODIES[url.path])
        elif url.path.startswith("/flaky"):
            self.answer(MODULE, 503 if seen == 1 else 200)
        elif url.path == "/503":
            self.answer(b"busy", 503)
        elif url.path == "/loop":
            self.answer(b"", 302, [("Location", "/loop")])
        elif url.path == "/redirect":
            self.answer(b"", 302, [("Location", query["to"])])
        elif url.path == "/truncated":
            self.send_response(200)
            self.send_header("Content-Length", str(len(MODULE) * 2))
            self.end_headers()
            self.wfile.write(MODULE)
            self.close_connection = True
        elif url.path == "/slow":
            self.server.stopping.wait(20)
            self.close_connection = True
        elif url.path == "/drip":
            self.stream(b"x", 0.05, 10000)
        elif url.path == "/endless":
            self.stream(bytes(65536), 0, 100000)
        elif url.path == "/big":
            self.answer(b"\0asm\1\0\0\0" + bytes(int(query["n"]) - 8))
        else:
            self.answer(b"nothing here", 404)


class FaultServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, cert=None, handler=Handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.seen, self.last, self.stopping = {}, None, threading.Event()
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.port = self.server_address[1]
        self.url = "%s://127.0.0.1:%d" % ("https" if cert else "http", self.port)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass

    def stop(self):
        self.stopping.set()
        self.shutdown()
        self.server_close()
