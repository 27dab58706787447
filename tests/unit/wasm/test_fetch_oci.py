#!/usr/bin/python3
"""Downloads from docker-registry: layouts, digests, Basic, Bearer and TLS.
usage: test_fetch_oci.py FETCH_TOOL. Skipped (77) where deploy/registry was not run."""
import base64
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../fake"))
import certs  # noqa: E402
import fault_server  # noqa: E402
import hostile_registry  # noqa: E402
import registry  # noqa: E402
import token_server  # noqa: E402

TOOL = sys.argv.pop(1)
MODULE = fault_server.MODULE
DIGEST = hashlib.sha256(MODULE).hexdigest()
TAR = gzip.compress(fault_server.tar_of("./plugin.wasm", MODULE))


def fetch(*args):
    out = subprocess.run([TOOL, "loopback=yes", *args], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=60, check=True, text=True)
    assert "secret" not in out.stderr and "dXNlcj" not in out.stderr, out.stderr
    return out.stdout.splitlines()[0]


def secret(host, **entry):
    return "secret=" + json.dumps({"auths": {host: entry}})


USER = base64.b64encode(b"user:secret").decode()


class Case(unittest.TestCase):
    def check_ok(self, *args):
        self.assertRegex(fetch(*args), "^ok %s %d " % (DIGEST, len(MODULE)))

    def check_error(self, text, *args):
        line = fetch(*args)
        self.assertRegex(line, "^error " + text)
        self.assertNotRegex(line, "secret:|" + USER)


class PlainTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.registry = registry.Registry()
        cls.base = "oci://" + cls.registry.host + "/"
        cls.insecure = "insecure=" + cls.registry.host

    @classmethod
    def tearDownClass(cls):
        cls.registry.stop()

    def push(self, repo, *args, **more):
        return self.registry.push(repo, "v1", *args, **more)

    def test_layouts(self):
        wasm, oci, docker = registry.WASM_LAYER, registry.OCI_LAYER, registry.DOCKER_LAYER
        rows = {
            "single": ([(wasm, MODULE)], registry.MANIFEST),
            "two": ([("application/vnd.module.wasm.config.v1+json", b"{}"), (wasm, MODULE)], registry.MANIFEST),
            "three": ([(wasm, MODULE), ("text/plain", b"a"), ("text/plain", b"b")], registry.MANIFEST),
            "cncf": ([("application/wasm", MODULE)], registry.MANIFEST),
            "oci": ([(oci, TAR)], registry.MANIFEST),
            "oci-last": ([(oci, gzip.compress(b"")), (oci, TAR)], registry.MANIFEST),
            "docker": ([(docker, TAR)], registry.DOCKER),
        }
        for name, (layers, kind) in rows.items():
            with self.subTest(name):
                d = self.push(name, layers, media_type=kind)["digest"]
                self.check_ok(self.insecure, self.base + name + ":v1")
                self.check_ok(self.insecure, self.base + name + "@" + d)
                self.check_ok(self.insecure, self.base + name + ":v1@" + d)
                self.check_ok(self.insecure, "sha256=" + d[7:], self.base + name + ":v1")

    def test_refused_layouts(self):
        oci = registry.OCI_LAYER
        rows = {
            "other": ([("text/plain", b"x")], "fetch: .*: no Wasm layer: the last of 1 layers has media type text/plain"),
            "ambiguous": ([(registry.WASM_LAYER, MODULE), ("application/wasm", MODULE)], "fetch: .*2 Wasm layers"),
            "no-plugin": ([(oci, gzip.compress(fault_server.tar_of("other.wasm", MODULE)))],
                          "verify: .*tar: no plugin.wasm in it"),
            "no-wasm": ([(registry.WASM_LAYER, b"hello world")], "verify: .*not a Wasm module"),
            "bomb": ([(oci, fault_server.BODIES["/bomb.gz"])], "verify: .*gzip: unpacks to more than"),
        }
        for name, (layers, text) in rows.items():
            with self.subTest(name):
                self.push("bad-" + name, layers)
                self.check_error(text, self.insecure, self.base + "bad-" + name + ":v1")

    def test_wrong_digests(self):
        self.push("digest", [(registry.WASM_LAYER, MODULE)])
        self.check_error("verify: sha256 mismatch for oci://\\S+/digest:v1: expected 0{64}, got [0-9a-f]{64}$",
                         self.insecure, "sha256=" + "0" * 64, self.base + "digest:v1")
        # The module's own sha256 is not what oci means.
        self.check_error("verify: sha256 mismatch", self.insecure, "sha256=" + DIGEST, self.base + "digest:v1")
        self.check_error("fetch: .*: manifest: HTTP 404", self.insecure, self.base + "digest@sha256:" + "0" * 64)
        self.check_error("fetch: .*only sha256 digests", self.insecure, self.base + "digest@sha512:" + "0" * 128)

    def test_index(self):
        other = b"\0asm\1\0\0\0other"
        wasm = self.registry.push("index", None, [(registry.WASM_LAYER, MODULE)])
        amd64 = self.registry.push("index", None, [(registry.WASM_LAYER, other)])
        junk = self.registry.push("index", None, [("text/plain", b"attestation")])
        rows = [
            ([(amd64, "linux", "amd64"), (wasm, "wasi", "wasm")], True),
            ([(junk, "unknown", "unknown"), (wasm, "linux", "amd64")], True),
            ([(junk, "windows", "amd64"), (wasm, "linux", "amd64"), (amd64, "linux", "s390x")], True),
        ]
        for i, (children, is_good) in enumerate(rows):
            listed = [dict(d, platform={"os": os_, "architecture": arch}) for d, os_, arch in children]
            index = self.registry.push_manifest(
                "index", "i%d" % i, {"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": listed},
                registry.INDEX)
            uri = self.base + "index:i%d" % i
            self.check_ok(self.insecure, uri)
            for d in (index, wasm):
                self.check_ok(self.insecure, "sha256=" + d["digest"][7:], uri)
            self.check_ok(self.insecure, self.base + "index@" + index["digest"])
            self.check_error("verify: sha256 mismatch", self.insecure, "sha256=" + junk["digest"][7:], uri)

    def test_changed_blob(self):
        data = MODULE + b"blob"
        self.push("changed", [(registry.WASM_LAYER, data)])
        path = self.registry.blob_path(hashlib.sha256(data).hexdigest())
        os.chmod(path, 0o644)
        with open(path, "r+b") as f:
            f.seek(20)
            f.write(b"EVIL")
        self.check_error("verify: sha256 mismatch for the layer of oci://\\S+: expected", self.insecure,
                         self.base + "changed:v1")

    def test_plain_http_must_be_listed(self):
        self.push("plain", [(registry.WASM_LAYER, MODULE)])
        self.check_error("fetch: .*: manifest: ", self.base + "plain:v1")
        self.check_error("fetch: .*: manifest: ", "insecure=other:1", self.base + "plain:v1")
        self.check_ok("insecure=*", self.base + "plain:v1")

    def test_missing(self):
        self.check_error("fetch: oci://\\S+/none:v1: manifest: HTTP 404$", self.insecure, self.base + "none:v1")

    def test_serves_from_disk(self):
        with tempfile.TemporaryDirectory() as data:
            r = registry.Registry()
            r.push("kept", "v1", [(registry.OCI_LAYER, TAR)])
            args = ("insecure=*", "data=" + data, "oci://%s/kept:v1" % r.host)
            self.check_ok(*args)
            r.stop()
            self.check_ok(*args)

    def test_latest_follows_the_resource_version(self):
        with tempfile.TemporaryDirectory() as data:
            new = MODULE + b"new"
            for name in ("latest:latest", "latest"):
                self.registry.push("latest", "latest", [(registry.WASM_LAYER, MODULE)])
                args = (self.insecure, "data=" + data, self.base + name)
                self.check_ok("version=1", *args)
                self.registry.push("latest", "latest", [(registry.WASM_LAYER, new)])
                self.check_ok("version=1", *args)
                self.assertIn(hashlib.sha256(new).hexdigest(), fetch("version=2", *args))


class BasicTest(Case):
    def test_basic(self):
        folder = tempfile.mkdtemp()
        htpasswd = os.path.join(folder, "htpasswd")
        subprocess.run(["htpasswd", "-cbB", htpasswd, "user", "secret"], check=True,
                       stderr=subprocess.DEVNULL)
        r = registry.Registry(auth="auth:\n  htpasswd:\n    realm: test\n    path: %s\n" % htpasswd,
                              headers={"Authorization": "Basic " + USER})
        try:
            r.push("team/plugin", "v1", [(registry.WASM_LAYER, MODULE)])
            args = ("insecure=" + r.host, "oci://%s/team/plugin:v1" % r.host)
            self.check_ok(secret(r.host, auth=USER), *args)
            self.check_ok(secret("https://%s/v1/" % r.host, username="user", password="secret"), *args)
            self.check_ok(secret(r.host + "/team", auth=USER), *args)
            self.check_error("fetch: .*HTTP 401: no credentials", *args)
            self.check_error("fetch: .*HTTP 401: no credentials", secret(r.host + "/tea", auth=USER), *args)
            self.check_error("fetch: .*HTTP 401: no credentials", secret("other", auth=USER), *args)
            self.check_error("fetch: .*refused", secret(r.host, username="user", password="wrong"), *args)
            self.check_error("fetch: .*missing image pulling secret", "secret=", *args)
            self.check_error("fetch: .*pull secret is not a docker config", "secret=nonsense", *args)
        finally:
            r.stop()
            shutil.rmtree(folder)


class BearerTest(Case):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        cert, key = os.path.join(self.dir, "t.pem"), os.path.join(self.dir, "t.key")
        certs.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens",
                  "-keyout", key, "-out", cert)
        # Pushed without authentication first; then the same storage behind tokens.
        plain = registry.Registry(folder=self.dir)
        plain.push("team/plugin", "v1", [(registry.WASM_LAYER, MODULE)])
        plain.stop()
        self.tokens = token_server.TokenServer(cert, key)
        self.registry = registry.Registry(folder=self.dir, auth=(
            "auth:\n  token:\n    realm: %s\n    service: registry\n    issuer: test\n"
            "    rootcertbundle: %s\n" % (self.tokens.url, cert)))
        self.args = ("insecure=" + self.registry.host, "oci://%s/team/plugin:v1" % self.registry.host)

    def tearDown(self):
        self.registry.stop()
        self.tokens.stop()
        shutil.rmtree(self.dir)

    def test_bearer(self):
        self.check_ok(secret(self.registry.host, auth=USER), *self.args)
        self.assertEqual(self.tokens.queries, [{"service": "registry", "scope": "repository:team/plugin:pull"}])
        self.check_ok(secret(self.registry.host, identitytoken=token_server.REFRESH_TOKEN), *self.args)
        self.check_error("fetch: .*token server: HTTP 401", *self.args)
        self.check_error("fetch: .*HTTP 401: the credentials were refused",
                         secret(self.registry.host, registrytoken="bad"), *self.args)


class TlsTest(Case):
    def test_tls(self):
        folder = tempfile.mkdtemp()
        c = certs.make(folder)
        r = registry.Registry(cert=(c.cert, c.key, c.ca))
        try:
            r.push("plugin", "v1", [(registry.WASM_LAYER, MODULE)])
            uri = "oci://%s/plugin:v1" % r.host
            self.check_ok("ca=" + c.ca, uri)
            self.check_ok("insecure=" + r.host, uri)
            self.check_error("fetch: .*certificate", uri)
        finally:
            r.stop()
            shutil.rmtree(folder)


class HostileTest(Case):
    def setUp(self):
        self.server = hostile_registry.HostileRegistry()
        self.insecure = "insecure=" + self.server.host
        self.uri = "oci://%s/x:v1" % self.server.host
        self.manifest = "/v2/x/manifests/v1"

    def tearDown(self):
        self.server.stop()

    def serve(self, path, body, status=200, headers=()):
        self.server.answers[path] = (status, list(headers), body)

    def layer_of(self, data, **more):
        layer = dict({"mediaType": registry.WASM_LAYER, "digest": registry.digest(data), "size": len(data)}, **more)
        return json.dumps({"schemaVersion": 2, "layers": [layer]}).encode()

    def test_credentials_stay_with_their_origin(self):
        other = hostile_registry.HostileRegistry()
        other.answers["/blob"] = (200, [], MODULE)
        challenge = [("WWW-Authenticate", 'Basic realm="x"')]
        self.serve(self.manifest, b"", 401, challenge)
        self.serve(("auth", self.manifest), self.layer_of(MODULE))
        self.serve(("auth", "/v2/x/blobs/" + registry.digest(MODULE)), b"", 307,
                   [("Location", other.url + "/blob")])
        self.check_ok(secret(self.server.host, auth=USER), self.insecure, self.uri)
        self.assertEqual(other.requests, [("/blob", None)])
        self.assertEqual([a for _, a in self.server.requests], [None] + ["Basic " + USER] * 2)
        other.stop()

    def test_token_servers(self):
        rows = {
            "http://169.254.169.254/latest": "token server: token server at link-local 169.254.169.254",
            "http://localhost:1/token": "token server: token server at internal name localhost",
            "http://10.0.0.1/token": "token server: token server at private 10.0.0.1",
            "file:///etc/passwd": "token server: .*only http, https and oci",
            "http://user:pass@%s/" % self.server.host: "token server: .*credentials in the address",
        }
        for realm, text in rows.items():
            with self.subTest(realm):
                self.serve(self.manifest, b"", 401, [("WWW-Authenticate", 'Bearer realm="%s"' % realm)])
                self.check_error("fetch: .*: " + text, self.insecure, self.uri,)
        self.assertEqual({p for p, _ in self.server.requests}, {self.manifest})

    def test_token_answers(self):
        realm = "http://%s/token" % self.server.host
        self.serve(self.manifest, b"", 401, [("WWW-Authenticate", 'Bearer realm="%s"' % realm)])
        rows = [(b"", "no usable token"), (b"{}", "no usable token"), (b'{"token":"a\\r\\nX: y"}', "no usable token"),
                (b'{"token":"%s"}' % (b"a" * 70000), "body is larger than"),
                (b'{"token":"good"}', "HTTP 401: the credentials were refused")]
        for body, text in rows:
            self.serve("/token", body)
            self.check_error("fetch: .*" + text, self.insecure, self.uri)

    def test_manifests(self):
        huge = b'{"schemaVersion":2,"layers":[' + b" " * (5 << 20) + b"]}"
        index = lambda d: json.dumps({"schemaVersion": 2, "manifests": [  # noqa: E731
            {"digest": registry.digest(d), "size": len(d), "mediaType": registry.MANIFEST}]}).encode()
        inner = index(b"deeper")
        rows = [
            (b"<html>", "fetch: .*: manifest: not JSON"),
            (b"[" * 100000, "fetch: .*: manifest: not JSON"),
            (huge, "fetch: .*: manifest: body is larger than"),
            (index(inner), "fetch: .*: manifest: an index inside an index"),
            (self.layer_of(MODULE, size=1 << 40), "fetch: .*: its layer is larger than"),
            (self.layer_of(MODULE, size=-1), "fetch: .*malformed descriptor"),
            (self.layer_of(MODULE, size=len(MODULE) - 1), "fetch: .*: layer: body is larger than"),
            (self.layer_of(MODULE, size=len(MODULE) + 1), "verify: size mismatch for the layer"),
            (self.layer_of(MODULE, digest=registry.digest(b"other")), "verify: sha256 mismatch for the layer"),
        ]
        self.serve("/v2/x/manifests/" + registry.digest(inner), inner)
        for digest in (registry.digest(MODULE), registry.digest(b"other")):
            self.serve("/v2/x/blobs/" + digest, MODULE)
        for body, text in rows:
            with self.subTest(text):
                self.serve(self.manifest, body)
                self.check_error(text, self.insecure, self.uri)

    def test_index_that_lies(self):
        good = self.layer_of(MODULE)
        index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": registry.digest(good), "size": 1}]})
        self.serve(self.manifest, index.encode())
        self.serve("/v2/x/manifests/" + registry.digest(good), self.layer_of(b"evil"))
        self.check_error("verify: sha256 mismatch for oci://\\S+: expected " + registry.digest(good)[7:],
                         self.insecure, self.uri)


if __name__ == "__main__":
    if not os.access(registry.BINARY, os.X_OK):
        print("no docker-registry: run deploy/registry")
        sys.exit(77)
    unittest.main()
