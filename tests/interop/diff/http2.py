"""Cases by HTTP/2, on either side of the proxy or on both. As in raw.py, and

    - group: name
      down: h2 (the client's side; else raw lines), up: h2 (the origin's side)
      cases:
        name: {h: [[name, value], ...], method:, path:, host:, scheme: (null leaves one out),
               pseudo: [[name, value], ...] in place of them, body:, trailers: [[name, value], ...],
               end: false (no end of the stream), first: [[type, flags, stream, payload], ...]
               (frames before), frames: the same behind, then: [text, ...],
               answer: {status:, h:, body:, trailers:, reset: code, goaway: true, echo: true,
                        pseudo: [[name, value]], informed: [status, ...], end: false}}"""
import contextlib
import socket

import h2.exceptions
from engine import fold, load
from h2client import H2Client
from h2server import H2Origin
from raw import SILENCE_S, Raw, RawOrigin, text_of

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ENABLE_CONNECT = 8


class Seen:
    """A request at an origin by HTTP/2, with the face of one by HTTP/1."""

    def __init__(self, q):
        self.q = q
        self.start = "%s %s HTTP/2" % (q.get(":method"), q.get(":path"))

    headers = property(lambda self: self.q.headers)
    trailers = property(lambda self: self.q.trailers)
    body = property(lambda self: self.q.body)


class CaseOrigin:
    def __init__(self):
        self.seen, self.case = [], {}
        self.h2 = H2Origin(on_request=self.on_request, on_head=self.on_head, on_data=self.on_data,
                           settings={ENABLE_CONNECT: 1})
        self.port = self.h2.port

    def begin(self, case):
        self.seen, self.case = [], case

    def on_head(self, q):
        if q.path == "/probe":
            return
        self.seen.append(Seen(q))
        if q.get(":method") == "CONNECT":
            self.answer(q, self.case.get("answer", {}))

    def on_data(self, q, data):
        if q.get(":method") == "CONNECT" and self.case.get("answer", {}).get("echo"):
            q.data(data.upper())

    def on_request(self, q):
        if q.path == "/probe":
            q.reply(b"", headers=[("x-probe", "yes")])
        elif q.get(":method") != "CONNECT":
            self.answer(q, self.case.get("answer", {}))

    @staticmethod
    def answer(q, a):
        if "goaway" in a:
            q.connection.goaway(0 if a["goaway"] == "refused" else q.stream)
        body, trailers = a.get("body"), a.get("trailers")
        if body is None and "reset" not in a and not a.get("echo") and "trailers" not in a:
            body = "ok"
        end = a.get("end", not a.get("echo") and "reset" not in a)
        with q.connection as h:
            for status in a.get("informed", []):
                h.send_headers(q.stream, [(":status", str(status))])
            if "status" in a or "pseudo" in a or "reset" not in a:
                pseudo = a.get("pseudo", [[":status", str(a.get("status", 200))]])
                h.send_headers(q.stream, [tuple(p) for p in pseudo + a.get("h", [])],
                               end_stream=end and not body and not trailers)
            if body:
                h.send_data(q.stream, body.encode(), end_stream=end and not trailers)
            if trailers:
                h.send_headers(q.stream, [tuple(p) for p in trailers], end_stream=True)
            if "reset" in a:
                h.reset_stream(q.stream, a["reset"])

    def close(self):
        self.h2.close()


def frame(kind, flags, stream, payload):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") +
            payload.encode("latin-1"))


def pseudo_of(case):
    if "pseudo" in case:
        return [tuple(p) for p in case["pseudo"]]
    fields = ((":method", case.get("method", "GET")), (":scheme", case.get("scheme", "http")),
              (":authority", case.get("host", "h.test")), (":path", case.get("path", "/")))
    return [f for f in fields if f[1] is not None]


class Stream2:
    """One request of a case on a connection of its own."""

    def __init__(self, client, case, out, replace):
        self.client, self.case, self.out, self.replace = client, case, out, replace

    def send(self):
        case, client = self.case, self.client
        body = case["body"].encode("latin-1") if "body" in case else None
        trailers = [tuple(t) for t in case["trailers"]] if "trailers" in case else None
        headers = [(k, text_of(v)) for k, v in case.get("h", [])]
        self.send_frames("first")
        n = client.ask(pseudo=pseudo_of(case), headers=headers, body=body, trailers=trailers,
                       end=case.get("end", "then" not in case))
        self.send_frames("frames")
        return client.streams[n]

    def send_frames(self, which):
        for kind, flags, stream, payload in self.case.get(which, []):
            self.client.socket.sendall(frame(kind, flags, stream, payload))

    def wait(self, check):
        """False: silence."""
        with contextlib.suppress(TimeoutError, EOFError, BrokenPipeError):
            self.client.wait(check)
        return check()

    def note(self, prefix, s):
        if s.informed:
            self.out[prefix + "informed"] = s.informed
        fold(prefix + "h.", s.headers or [], self.out, self.replace)
        if s.body:
            self.out[prefix + "body"] = s.body.decode("latin-1")
        fold(prefix + "t.", s.trailers or [], self.out, self.replace)
        if s.reset is not None:
            self.out[prefix + "reset"] = s.reset

    def tunnel(self, s, n):
        for i, text in enumerate(self.case["then"]):
            had = len(s.body)
            self.client.send(n, text.encode(), end=False)
            self.wait(lambda: len(s.body) > had or s.ended or s.reset is not None)
            self.out["raw.%d" % i] = s.body[had:].decode("latin-1")
        s.body = b""

    def run(self):
        s = self.send()
        if "then" in self.case and self.wait(lambda: s.headers or s.reset is not None) and \
                s.headers and not s.ended:
            self.tunnel(s, max(self.client.streams))
        elif not self.wait(lambda: s.ended or s.reset is not None) and not self.client.is_closed:
            self.out["end"] = "silent"
        self.note("0.", s)
        if "end" not in self.out:
            self.probe()
        if self.client.goaways:
            self.out["goaway"] = self.client.goaways[-1][1]

    def probe(self):
        try:
            p = self.client.streams[self.client.ask(path="/probe")]
        except (OSError, h2.exceptions.ProtocolError):
            self.out["end"] = "closed"
            return
        self.wait(lambda: p.ended or p.reset is not None)
        self.out["end"] = "open" if p.ended and p.get("x-probe") else "closed"


class Http2(Raw):
    name = "http2"

    def make_origin(self, group):
        return CaseOrigin() if group.get("up") == "h2" else RawOrigin()

    def config(self):
        for g in self.data.values():
            if g.get("up") == "h2":
                g.setdefault("cluster", {})["typed_extension_protocol_options"] = {OPTIONS: {
                    "@type": "type.googleapis.com/" + OPTIONS, "explicit_http_config": {
                        "http2_protocol_options": dict(g.get("up_options", {}),
                                                       allow_connect=True)}}}
            if g.get("down") == "h2":
                hcm = g.setdefault("hcm", {})
                hcm.setdefault("http2_protocol_options", {})["allow_connect"] = True
        return super().config()

    def exchange(self, group, case, out, replace, patience):
        if self.data[group].get("down") != "h2":
            super().exchange(group, case, out, replace, patience)
            return
        with H2Client(self.ports[group], checks=False, timeout=SILENCE_S * patience) as c:
            try:
                Stream2(c, case, out, replace).run()
            except (h2.exceptions.ProtocolError, socket.timeout) as e:
                out["failed"] = type(e).__name__
