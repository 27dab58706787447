"""An HTTP/2 server that does as it is told, on Debian's python3-h2."""
import contextlib
import socket
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.settings import SettingCodes, Settings


class H2Request:
    """What came on a stream, and ways to answer it; any thread may use them."""

    def __init__(self, connection, stream, headers):
        self.connection, self.stream, self.headers = connection, stream, headers
        self.body, self.trailers, self.ended, self.reset_code = b"", [], False, None

    def get(self, name, default=None):
        return dict(self.headers).get(name, default)

    @property
    def path(self):
        return self.get(":path")

    def head(self, status=200, headers=(), end=False):
        with self.connection as h:
            h.send_headers(self.stream, [(":status", str(status)), *headers], end_stream=end)

    def data(self, data, end=False):
        """Without regard to windows beyond the first: for what fits."""
        with self.connection as h:
            while len(data) > 16384:
                h.send_data(self.stream, data[:16384])
                data = data[16384:]
            h.send_data(self.stream, data, end_stream=end)

    def reply(self, body=b"ok", status=200, headers=(), trailers=None):
        self.head(status, headers)
        self.data(body, end=trailers is None)
        if trailers is not None:
            with self.connection as h:
                h.send_headers(self.stream, trailers, end_stream=True)

    def reset(self, code):
        with self.connection as h:
            h.reset_stream(self.stream, code)


class H2Connection:
    """`with connection as h` gives the h2 connection, and sends what was done to it."""

    def __init__(self, origin, s):
        self.origin, self.socket, self.lock = origin, s, threading.RLock()
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8",
                                           validate_outbound_headers=False,
                                           validate_inbound_headers=False)
        self.h = h2.connection.H2Connection(config)
        self.requests, self.pings = {}, 0

    def __enter__(self):
        self.lock.acquire()
        return self.h

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.sendall(self.h.data_to_send())
        self.lock.release()

    def goaway(self, last, code=0):
        """RFC 9113 6.8, as often as wanted; h2 would say it once and then be closed."""
        frame = last.to_bytes(4, "big") + code.to_bytes(4, "big")
        with self.lock:
            self.socket.sendall(len(frame).to_bytes(3, "big") + b"\x07\0\0\0\0\0" + frame)

    def raw(self, data):
        with self.lock:
            self.socket.sendall(data)

    def handle(self, e):
        q = self.requests.get(getattr(e, "stream_id", None))
        if isinstance(e, h2.events.RequestReceived):
            q = H2Request(self, e.stream_id, e.headers)
            self.requests[e.stream_id] = q
            self.origin.requests.append(q)
            if self.origin.on_head:
                self.origin.on_head(q)
        elif isinstance(e, h2.events.DataReceived):
            q.body += e.data
            if not self.origin.is_stalled:
                with self as h:
                    h.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            if self.origin.on_data:
                self.origin.on_data(q, e.data)
        elif isinstance(e, h2.events.TrailersReceived):
            q.trailers = e.headers
        elif isinstance(e, h2.events.StreamEnded):
            q.ended = True
            if self.origin.on_request:
                self.origin.on_request(q)
        elif isinstance(e, h2.events.StreamReset):
            q.reset_code = int(e.error_code)
        elif isinstance(e, h2.events.PingReceived):
            self.pings += 1

    def serve(self):
        with self as h:
            h.local_settings = Settings(client=False, initial_values=self.origin.settings)
            h.initiate_connection()
        while True:
            data = self.socket.recv(1 << 16)
            if not data:
                return
            with self.lock:
                events = self.h.receive_data(data)
                if self.origin.is_deaf:
                    self.h.data_to_send()
            for e in events:
                self.handle(e)
            with self:
                pass


class H2Origin:
    """on_request(q) when a request is whole (default: 200 "ok"), on_head(q) at its head,
    on_data(q, data). Requests and connections are kept."""

    def __init__(self, on_request=lambda q: q.reply(), on_head=None, on_data=None, settings=None,
                 tls=None):
        self.on_request, self.on_head, self.on_data = on_request, on_head, on_data
        self.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 100, **(settings or {})}
        self.requests, self.connections, self.tls = [], [], tls
        self.is_stalled = False  # gives no window back
        self.is_deaf = False     # answers no pings
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.socket.getsockname()[1]
        self.is_closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.is_closed:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.run, args=(s,), daemon=True).start()

    def run(self, s):
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError), s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                s = self.tls.wrap_socket(s, server_side=True)
            c = H2Connection(self, s)
            self.connections.append(c)
            c.serve()

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
