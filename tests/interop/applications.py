"""What a mesh carries: servers by TLS, TCP and gRPC, in threads of the test. (HTTP: lib.Origin.)"""
import concurrent.futures
import contextlib
import socket
import threading

import grpc
from lib import Origin, family_of


def in_brackets(address):
    return "[%s]" % address if ":" in address else address


class TlsOrigin(Origin):
    """An HTTP server by TLS; names: server names that clients asked for; protocols: by ALPN."""

    def __init__(self, context, address):
        self.context, self.names, self.protocols = context, [], []
        context.sni_callback = lambda s, name, _: self.names.append(name)
        super().__init__(address=address)

    def serve(self, s):
        try:
            s = self.context.wrap_socket(s, server_side=True)
        except OSError:
            return
        self.protocols.append(s.selected_alpn_protocol())
        super().serve(s)


class Lines:
    """By TCP: each line comes back in upper case, as long as the client likes."""

    def __init__(self, address="127.0.0.1"):
        self.connections = 0
        self.socket = socket.create_server((address, 0), family=family_of(address))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.socket.accept()
                self.connections += 1
                threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    @staticmethod
    def serve(s):
        with contextlib.suppress(OSError), s, s.makefile("rb") as reader:
            for line in reader:
                s.sendall(line.upper())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Session:
    """A client of Lines; say() returns "" once the connection is over."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), 10)
        self.reader = self.socket.makefile("r")

    def say(self, line):
        try:
            self.socket.sendall(line.encode() + b"\n")
            return self.reader.readline().rstrip("\n")
        except ConnectionError:
            return ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.socket.close()


class Echo:
    """By gRPC: remora.Echo/Say answers "TEXT from x-forwarded-client-cert"; "fail" is answered by
    status DATA_LOSS."""

    def __init__(self, address="127.0.0.1"):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
            "remora.Echo", {"Say": grpc.unary_unary_rpc_method_handler(self.say)})])
        self.port = self.server.add_insecure_port(in_brackets(address) + ":0")
        self.server.start()

    @staticmethod
    def say(text, context):
        if text == b"fail":
            context.abort(grpc.StatusCode.DATA_LOSS, "as wanted")
        metadata = dict(context.invocation_metadata())
        return text + b" from " + metadata.get("x-forwarded-client-cert", "nobody").encode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()
