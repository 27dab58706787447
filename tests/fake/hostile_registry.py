"""A registry made of answers that a test writes down: path -> (status, headers, body)."""
import fault_server


class Handler(fault_server.Handler):
    def do_GET(self):
        path = self.path.split("?")[0]
        self.server.requests.append((path, self.headers["Authorization"]))
        answers = self.server.answers
        if "Authorization" in self.headers and ("auth", path) in answers:
            path = ("auth", path)
        status, headers, body = answers.get(path, (404, [], b""))
        try:
            self.answer(body, status, headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_POST = do_GET


class HostileRegistry(fault_server.FaultServer):
    def __init__(self, cert=None):
        self.answers, self.requests = {}, []
        super().__init__(cert=cert, handler=Handler)
        self.host = "127.0.0.1:%d" % self.port
