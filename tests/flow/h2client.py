"""A client for HTTP/2 on Debian's python3-h2: one connection, streams by number."""
import socket
import ssl

import h2.config
import h2.connection
import h2.events
import h2.settings
from hyperframe.frame import GoAwayFrame


class Stream:
    def __init__(self):
        self.headers, self.body, self.trailers, self.informed = None, b"", None, []
        self.ended, self.reset = False, None

    @property
    def status(self):
        return int(dict(self.headers)[":status"]) if self.headers else None

    def get(self, name):
        return dict(self.headers).get(name)


class H2Client:
    """auto_window False: what arrives is not given back to the peer's windows."""

    def __init__(self, port, tls=None, auto_window=True, checks=True, timeout=10, window=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=checks,
            normalize_outbound_headers=checks)
        self.h2 = h2.connection.H2Connection(config)
        if window is not None:
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.keep_open_after_goaway()
        self.h2.initiate_connection()
        self.auto_window = auto_window
        self.streams, self.goaways, self.is_closed, self.pings = {}, [], False, 0
        self.flush()

    def keep_open_after_goaway(self):
        """The library takes nothing after GOAWAY, although streams may go on (RFC 9113 6.8)."""
        table = self.h2._frame_dispatch_table
        take = table[GoAwayFrame]

        def goaway(frame):
            state = self.h2.state_machine.state
            out = take(frame)
            self.h2.state_machine.state = state
            return out
        table[GoAwayFrame] = goaway

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def ask(self, method="GET", path="/", headers=(), body=None, trailers=None, host="a.test",
            end=True, scheme="http", pseudo=None):
        """Sends a request; its stream's number."""
        n = self.h2.get_next_available_stream_id()
        fields = pseudo or [(":method", method), (":scheme", scheme), (":authority", host),
                            (":path", path)]
        has_more = body is not None or trailers is not None or not end
        self.h2.send_headers(n, fields + list(headers), end_stream=not has_more)
        self.streams[n] = Stream()
        self.flush()
        if body:
            self.send(n, body, end and trailers is None)
        elif body is not None and end and trailers is None:
            self.h2.end_stream(n)
        if trailers is not None:
            self.h2.send_headers(n, list(trailers), end_stream=True)
        self.flush()
        return n

    def send(self, n, body, end=True):
        at = 0
        while at < len(body):
            room = min(self.h2.local_flow_control_window(n), self.h2.max_outbound_frame_size)
            if not room:
                self.step()
                continue
            piece = body[at:at + room]
            at += len(piece)
            self.h2.send_data(n, piece, end_stream=end and at == len(body))
            self.flush()

    def step(self):
        """Reads once. False: the connection is closed."""
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            self.is_closed = True
            return False
        for e in self.h2.receive_data(data):
            self.take(e)
        try:
            self.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.is_closed = True
        return True

    def take(self, e):
        s = self.streams.get(getattr(e, "stream_id", None))
        if isinstance(e, h2.events.ConnectionTerminated):
            self.goaways.append((e.last_stream_id, int(e.error_code)))
        elif isinstance(e, h2.events.PingReceived):
            self.pings += 1
        elif s is None:
            return
        elif isinstance(e, h2.events.InformationalResponseReceived):
            s.informed.append(int(dict(e.headers)[":status"]))
        elif isinstance(e, h2.events.ResponseReceived):
            s.headers = e.headers
        elif isinstance(e, h2.events.TrailersReceived):
            s.trailers = e.headers
        elif isinstance(e, h2.events.DataReceived):
            s.body += e.data
            if self.auto_window and e.flow_controlled_length:
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.StreamEnded):
            s.ended = True
        elif isinstance(e, h2.events.StreamReset):
            s.reset = int(e.error_code)

    def wait(self, check):
        while not check() and not self.is_closed:
            self.step()
        if not check():
            raise EOFError("closed, %r" % self.goaways)

    def answer(self, n):
        """The stream once it ended, well or not."""
        s = self.streams[n]
        self.wait(lambda: s.ended or s.reset is not None)
        return s

    def get(self, path="/", **more):
        return self.answer(self.ask(path=path, **more))

    def wait_closed(self):
        while not self.is_closed:
            self.step()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def tls_client(alpn=("h2",)):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    c.set_alpn_protocols(list(alpn))
    return c
