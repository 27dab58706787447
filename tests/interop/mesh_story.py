"""What two pods must do in any mesh, whichever way traffic comes to their Remoras."""
import threading

from istio import network, of, pki, spiffe
from lib import equal, reply, wait_for
from mesh import SERVER

CLIENT_ID, SERVER_ID = spiffe("client"), spiffe("server")


def peer_authentication(mode):
    return of("security.istio.io/v1", "PeerAuthentication", "default", {"mtls": {"mode": mode}})


def file(path):
    """Answers of an Origin that serves it."""
    def answers(_):
        with open(path, "rb") as f:
            return reply(f.read())
    return answers


def plugin_is_live(m, name):
    """On both, once, and so are all others."""
    for pod in (m.client, m.server):
        rows = {r["slot"]: r["state"] for r in pod.plugins().values()}
        equal(len([slot for slot in rows if name in slot]), 1, rows)
        equal(set(rows.values()) - {"live", "probation"}, set(), rows)


def http(m, app="http"):
    equal(m.until("an answer", lambda a: a.status == 200, port=m.port[app]).body, b"ok")
    identity = m.identity(app)
    equal((identity["By"], identity["URI"]), (SERVER_ID, CLIENT_ID))


def tcp(m, app="tcp"):
    before = m.server.handshakes()
    with m.session(app=app) as s:
        equal([s.say("one"), s.say("two")], ["ONE", "TWO"])
    equal(m.apps[app].connections, 1)
    equal(m.server.handshakes() - before, 1)


def grpc(m):
    out = m.call_grpc("hello", "fail", "again")
    equal([line.split(" ", 2)[:2] for line in out],
          [["hello", "from"], ["DATA_LOSS", "as"], ["again", "from"]])
    for line in (out[0], out[2]):
        equal(("URI=" + CLIENT_ID in line, "By=" + SERVER_ID in line), (True, True), line)


def authentication(m):
    """PeerAuthentication: what comes plainly, what the client's Remora speaks."""
    equal(wait_for("plaintext", m.ask_plainly, 15).status, 200)
    equal(m.identity(), None)
    m.set(peer_authentication("STRICT"))
    wait_for("a refusal of plaintext", lambda: m.ask_plainly() is None, 15)
    m.check_in_sync()  # from here on all workers refuse it
    with m.session(plainly=True) as s:
        equal(s.say("hello"), "", "plain TCP")
    http(m)
    with m.session() as s:
        equal(s.say("hello"), "HELLO")
    m.set(peer_authentication("PERMISSIVE"))
    wait_for("plaintext", m.ask_plainly, 15)
    m.check_in_sync()
    http(m)
    m.set(peer_authentication("DISABLE"))
    m.until("an answer", lambda a: a.status == 200 and m.identity() is None)


class Load:
    """Requests in threads of their own, each on a connection of its own, and on one that is kept as
    long as the responses allow."""

    def __init__(self, m):
        self.m, self.is_over, self.statuses = m, False, []
        self.threads = [threading.Thread(target=t) for t in (self.each_anew, self.kept)]
        for t in self.threads:
            t.start()

    def each_anew(self):
        while not self.is_over:
            a = self.m.ask()
            self.statuses.append(a and a.status)

    def kept(self):
        client = None
        while not self.is_over:
            try:
                client = client or self.m.connect()
                a = client.ask("GET /kept HTTP/1.1\r\nhost: %s\r\n\r\n" % SERVER)
                self.statuses.append(a.status)
            except (OSError, EOFError) as e:
                self.statuses.append(repr(e))
                a = None
            if not a or a.get("connection") == "close":
                client.socket.close()
                client = None

    def stop(self):
        self.is_over = True
        for t in self.threads:
            t.join()


def load_while(m, what):
    """Calls what() while requests run, all of which must be answered by 200."""
    load = Load(m)
    try:
        what()
    finally:
        load.stop()
    equal(set(load.statuses), {200}, len(load.statuses))


def rotated_by_rule(m, fingerprint):
    """By this rule the client's connections are new ones, which show its new certificate."""
    m.set(network("DestinationRule", "server", {"host": SERVER, "trafficPolicy": {
        "connectionPool": {"http": {"maxRequestsPerConnection": 1}}}}))
    m.until("the new certificate", lambda a: m.identity()["Hash"] == fingerprint)


def rotation(m):
    """New certificates: connections of before go on, those of afterwards show them."""
    http(m)
    with m.connect() as kept, m.session() as session:
        equal(session.say("before"), "BEFORE")

        def rotate():
            for pod in (m.client, m.server, m.client):
                pod.rotate()
                equal(kept.ask("GET / HTTP/1.1\r\nhost: %s\r\n\r\n" % SERVER).status, 200)
                equal(session.say("during"), "DURING")
                with m.session() as new:
                    equal(new.say("new"), "NEW")
        load_while(m, rotate)
        equal(session.say("after"), "AFTER")
    equal(m.served_fingerprint(), pki.fingerprint("server"))
    rotated_by_rule(m, pki.fingerprint("client"))
