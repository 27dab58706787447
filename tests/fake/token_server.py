"""A Docker token server for tests: checks a user, hands out RS256 tokens that docker-registry
accepts (its rootcertbundle is our certificate). GET with Basic, or POST with a refresh token."""
import base64
import http.server
import json
import subprocess
import threading
import time
import urllib.parse

REFRESH_TOKEN = "refresh-me"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def make_token(self, scope):
        kind, name, actions = scope.split(":")
        now, server = int(time.time()), self.server
        claims = {"iss": "test", "sub": "user", "aud": "registry", "exp": now + 300, "nbf": now - 60,
                  "iat": now, "jti": str(now),
                  "access": [{"type": kind, "name": name, "actions": actions.split(",")}]}
        head = {"typ": "JWT", "alg": "RS256", "x5c": [server.cert_b64]}
        text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
        sign = subprocess.run(["openssl", "dgst", "-sha256", "-sign", server.key], input=text.encode(),
                              stdout=subprocess.PIPE, check=True).stdout
        return text + "." + b64(sign)

    def answer(self, is_known, query):
        body = {"errors": []}
        if is_known:
            body = {"token": self.make_token(query["scope"])}
        text = json.dumps(body).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.server.queries.append(query)
        basic = "Basic " + base64.b64encode(b"user:secret").decode()
        self.answer(self.headers["Authorization"] == basic, query)

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.server.queries.append(form)
        self.answer(form.get("refresh_token") == REFRESH_TOKEN, form)


class TokenServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, cert, key):
        super().__init__(("127.0.0.1", 0), Handler)
        with open(cert) as f:
            lines = [x for x in f.read().splitlines() if not x.startswith("-----")]
        self.cert_b64, self.key, self.queries = "".join(lines), key, []
        self.url = "http://127.0.0.1:%d/token" % self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()
