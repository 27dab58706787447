#!/usr/bin/python3
"""Downloads over http(s) against a server that misbehaves. usage: test_fetch.py FETCH_TOOL"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../fake"))
import certs  # noqa: E402
import fault_server  # noqa: E402

TOOL = sys.argv.pop(1)
DIGEST = hashlib.sha256(fault_server.MODULE).hexdigest()


def fetch(*args, env=None):
    """Lines of the tool, each either ('ok', digest) or ('error', text)."""
    out = subprocess.run([TOOL, *args], stdout=subprocess.PIPE, timeout=60, check=True, text=True,
                         env=dict(os.environ, **(env or {})))
    return out.stdout.splitlines()


class HttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = fault_server.FaultServer()
        cls.url = cls.server.url

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def get(self, path, *args, **more):
        lines = fetch("loopback=yes", *args, self.url + path if path[0] == "/" else path, **more)
        self.assertEqual(len(lines), 1, lines)
        return lines[0]

    def check_ok(self, path, *args):
        self.assertRegex(self.get(path, *args), "^ok %s %d " % (DIGEST, len(fault_server.MODULE)))

    def check_error(self, text, path, *args):
        line = self.get(path, *args).replace(self.url, "URL")
        self.assertRegex(line, "^error " + text + "$")

    def test_forms(self):
        for path in ("/good.wasm", "/good.wasm.gz", "/good.tar", "/good.tar.gz"):
            with self.subTest(path):
                self.check_ok(path)
                self.check_ok(path, "sha256=" + DIGEST)
                raw = hashlib.sha256(fault_server.BODIES[path]).hexdigest()
                self.check_ok(path, "sha256=" + raw)

    def test_wrong_hash(self):
        got = DIGEST
        for path in ("/good.wasm", "/text"):
            got = hashlib.sha256(fault_server.BODIES[path]).hexdigest()
            self.check_error("verify: sha256 mismatch for URL%s: expected %s, got %s"
                             % (path, "0" * 64, got), path, "sha256=" + "0" * 64)

    def test_statuses(self):
        self.check_error("fetch: URL/404: HTTP 404", "/404")
        self.check_error("fetch: URL/503: HTTP 503", "/503")
        self.check_error("fetch: URL/empty: empty body", "/empty")

    def test_not_a_module(self):
        self.check_error(r"verify: URL/text: not a Wasm module.*", "/text")

    def test_truncated(self):
        self.check_error("fetch: URL/truncated: truncated: .*", "/truncated")

    def test_bomb(self):
        self.check_error(r"verify: URL/bomb.gz: gzip: unpacks to more than \d+ bytes .*", "/bomb.gz")
        self.check_error("verify: URL/nested: nested in more than 3 archives", "/nested")

    def test_too_large(self):
        self.check_error("fetch: URL/endless: body is larger than 1000000 bytes", "/endless",
                         "max=1000000", "timeout=20000")
        self.check_error("fetch: URL/big: body is larger than 1000000 bytes", "/big?n=1000001",
                         "max=1000000")
        self.assertTrue(self.get("/big?n=1000000", "max=1000000").startswith("ok "))

    def test_too_slow(self):
        for path in ("/slow", "/drip"):
            start = time.monotonic()
            self.check_error("fetch: URL%s: .*timed out.*" % path, path, "timeout=300")
            self.assertLess(time.monotonic() - start, 10)

    def test_redirects(self):
        self.check_ok("/redirect?to=/good.wasm")
        self.check_error("fetch: URL/loop: redirected to URL/loop: more than 10 redirects", "/loop")
        self.assertEqual(self.server.seen["/loop"], 11)
        for to in ("http://169.254.169.254/latest/meta-data", "http://[fe80::1]/",
                   "http://0.0.0.0:80/", "http://[::ffff:169.254.169.254]/"):
            self.check_error(r"fetch: URL/redirect: redirected to \S+: refused to connect to \S+ "
                             r"address \S+", "/redirect?to=" + to, "timeout=2000")
        for to in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"):
            self.check_error(r"fetch: URL/redirect: redirected to \S+ .*only http, https and oci.*",
                             "/redirect?to=" + to)

    def test_metadata_address(self):
        line = self.get("http://169.254.169.254/latest/meta-data")
        self.assertEqual(line, "error fetch: http://169.254.169.254/latest/meta-data: refused to "
                               "connect to link-local address 169.254.169.254")

    def test_loopback_is_refused_by_default(self):
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1"):
            url = "http://%s:%d/good.wasm" % (host, self.server.port)
            self.assertRegex(fetch(url)[0], "^error fetch: .*refused to connect to loopback")
        self.assertRegex(fetch("loopback=no", self.url + "/good.wasm")[0], "^error fetch")

    def test_retries(self):
        self.check_error("fetch: URL/flaky-1: HTTP 503", "/flaky-1")
        self.check_ok("/flaky-2", "retries=1")
        before = self.server.seen.get("/404", 0)
        self.check_error("fetch: URL/404: HTTP 404", "/404", "retries=3")
        self.assertEqual(self.server.seen["/404"], before + 1)

    def test_single_flight(self):
        before = self.server.seen.get("/good.wasm", 0)
        lines = fetch("loopback=yes", *[self.url + "/good.wasm"] * 5)
        self.assertEqual([x.split()[1] for x in lines], [DIGEST] * 5)
        self.assertEqual(self.server.seen["/good.wasm"], before + 1)

    def test_proxy_environment_is_ignored(self):
        line = self.get("/good.wasm", env={"http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"})
        self.assertTrue(line.startswith("ok"), line)

    def test_secrets_of_an_address_are_not_shown(self):
        line = self.get(self.url.replace("://", "://user:hunter2@") + "/good.wasm")
        self.assertRegex(line, "^error fetch: .*credentials in the address are not accepted")
        self.assertNotIn("hunter2", line)
        self.assertNotIn("hunter3", self.get("/404?token=hunter3"))

    def test_cluster_gives_the_endpoint(self):
        where = "endpoint=127.0.0.1/%d/plain" % self.server.port
        # loopback is fine there: the cluster names it
        lines = fetch(where, "cluster=known", "http://modules.example/good.wasm")
        self.assertRegex(lines[0], "^ok " + DIGEST)
        self.assertEqual(self.server.last["Host"], "modules.example")
        # A cluster without TLS does not take it away from an address with it.
        lines = fetch(where, "cluster=known", "https://modules.example/good.wasm")
        self.assertRegex(lines[0], "^error fetch: https://modules.example/good.wasm: ")
        lines = fetch("loopback=yes", where, "cluster=other", self.url + "/good.wasm")
        self.assertRegex(lines[0], "^ok " + DIGEST)


class CacheTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.server = fault_server.FaultServer()

    def tearDown(self):
        self.server.stop()
        shutil.rmtree(self.dir)

    def get(self, path, *args):
        return fetch("loopback=yes", "data=" + self.dir, *args, self.server.url + path)[0]

    def file(self):
        return os.path.join(self.dir, "wasm", DIGEST + ".wasm")

    def test_serves_without_the_server(self):
        self.assertIn("hits=0 misses=1 successes=1", self.get("/good.wasm.gz"))
        self.assertEqual(os.stat(self.file()).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(self.file())).st_mode & 0o777, 0o700)
        self.server.stop()
        self.assertRegex(self.get("/good.wasm.gz"), "^ok %s .*hits=1 misses=0" % DIGEST)
        # Another checksum is another request.
        self.assertRegex(self.get("/good.wasm.gz", "sha256=" + "1" * 64), "^error fetch")
        # The same checksum from elsewhere is the same module.
        self.assertRegex(self.get("/elsewhere", "sha256=" + DIGEST), "^ok " + DIGEST)

    def test_damage_is_noticed(self):
        for damage in ("change", "truncate", "symlink", "directory"):
            with self.subTest(damage):
                self.get("/good.wasm")
                if damage == "change":
                    with open(self.file(), "r+b") as f:
                        f.seek(100)
                        f.write(b"X")
                elif damage == "truncate":
                    os.truncate(self.file(), 100)
                else:
                    os.unlink(self.file())
                    os.symlink("/etc/passwd", self.file()) if damage == "symlink" else os.mkdir(self.file())
                before = self.server.seen["/good.wasm"]
                self.assertRegex(self.get("/good.wasm"), "^ok " + DIGEST)
                self.assertEqual(self.server.seen["/good.wasm"], before + 1)
                if os.path.isdir(self.file()):
                    os.rmdir(self.file())

    def test_pull_policy(self):
        for args, pulls in ((["version=1"], 1), (["version=2"], 1),
                            (["policy=Always", "version=1"], 2), (["policy=Always", "version=1"], 2),
                            (["policy=Always", "version=2"], 3),
                            (["policy=IfNotPresent", "version=3"], 3),
                            (["policy=Always", "version=4", "sha256=" + DIGEST], 3)):
            self.assertRegex(self.get("/good.wasm", *args), "^ok")
            self.assertEqual(self.server.seen["/good.wasm"], pulls, args)

    def test_no_address_in_the_index(self):
        self.get("/good.wasm?token=hunter2")
        with open(os.path.join(self.dir, "wasm", "index")) as f:
            text = f.read()
        self.assertIn(DIGEST, text)
        self.assertNotRegex(text, "hunter2|127.0.0.1")

    def test_hostile_folder(self):
        os.mkdir(os.path.join(self.dir, "wasm"))
        os.chmod(os.path.join(self.dir, "wasm"), 0o777)
        self.assertRegex(self.get("/good.wasm"), "^ok")
        self.assertEqual(os.listdir(os.path.join(self.dir, "wasm")), [])


class TlsTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.ca = certs.make(self.dir)
        self.server = fault_server.FaultServer(cert=(self.ca.cert, self.ca.key))
        self.url = self.server.url

    def tearDown(self):
        self.server.stop()
        shutil.rmtree(self.dir)

    def test_trust(self):
        good = self.url + "/good.wasm"
        self.assertRegex(fetch("loopback=yes", good)[0], "^error fetch: .*certificate")
        self.assertRegex(fetch("loopback=yes", "ca=" + self.ca.ca, good)[0], "^ok")
        other = good.replace("127.0.0.1", "127.0.0.2")
        self.assertRegex(fetch("loopback=yes", "ca=" + self.ca.ca, other)[0], "^error fetch")
        self.assertRegex(fetch("loopback=yes", "insecure=127.0.0.1:%d" % self.server.port, good)[0], "^ok")
        self.assertRegex(fetch("loopback=yes", "insecure=127.0.0.1:1,other", good)[0], "^error fetch")

    def test_no_downgrade(self):
        plain = fault_server.FaultServer()
        to = self.url + "/redirect?to=" + plain.url + "/good.wasm"
        line = fetch("loopback=yes", "ca=" + self.ca.ca, to)[0]
        self.assertRegex(line, "^error fetch: .*redirected from https to plain http")
        line = fetch("loopback=yes", "ca=" + self.ca.ca, "insecure=127.0.0.1:%d" % plain.port, to)[0]
        self.assertRegex(line, "^ok")
        plain.stop()

    def test_cluster_speaks_tls(self):
        lines = fetch("endpoint=127.0.0.1/%d/tls" % self.server.port, "cluster=known",
                      "ca=" + self.ca.ca, "http://localhost/good.wasm")
        self.assertRegex(lines[0], "^ok")


if __name__ == "__main__":
    unittest.main()
