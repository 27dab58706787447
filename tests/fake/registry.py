"""Debian's docker-registry on a free loopback port, and pushes to it. deploy/registry unpacks it."""
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request

BINARY = os.environ.get("REGISTRY") or os.path.join(
    os.path.dirname(__file__), "../../.prefix-registry/usr/bin/docker-registry")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
WASM_LAYER = "application/vnd.module.wasm.content.layer.v1+wasm"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """auth: "" or YAML for the auth section; cert: (cert, key, ca) for TLS."""

    def __init__(self, auth="", cert=None, headers=None, folder=None):
        self.port, self.headers = free_port(), headers or {}
        self.own_dir = folder is None
        self.dir = folder or tempfile.mkdtemp()
        self.host = "127.0.0.1:%d" % self.port
        self.url = ("https://" if cert else "http://") + self.host
        self.context = ssl.create_default_context(cafile=cert[2]) if cert else None
        tls = "  tls:\n    certificate: %s\n    key: %s\n" % cert[:2] if cert else ""
        config = os.path.join(self.dir, "config.yml")
        with open(config, "w") as f:
            f.write("version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n"
                    "  filesystem:\n    rootdirectory: %s/data\n  delete:\n    enabled: true\n%s"
                    "http:\n  addr: 127.0.0.1:%d\n%s" % (self.dir, auth, self.port, tls))
        self.process = subprocess.Popen([BINARY, "serve", config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.wait()

    def wait(self):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("docker-registry did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        if self.own_dir:
            shutil.rmtree(self.dir)

    def call(self, method, url, data=None, content_type="application/octet-stream"):
        url = url if "://" in url else self.url + url
        headers = dict(self.headers, **{"Content-Type": content_type})
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        return urllib.request.urlopen(request, context=self.context, timeout=30)

    def push_blob(self, repo, data):
        where = self.call("POST", "/v2/%s/blobs/uploads/" % repo, b"").headers["Location"]
        self.call("PUT", where + ("&" if "?" in where else "?") + "digest=" + digest(data), data)
        return {"digest": digest(data), "size": len(data)}

    def push_manifest(self, repo, tag, manifest, media_type):
        data = json.dumps(manifest).encode()
        self.call("PUT", "/v2/%s/manifests/%s" % (repo, tag or digest(data)), data, media_type)
        return {"digest": digest(data), "size": len(data), "mediaType": media_type}

    def push(self, repo, tag, layers, media_type=MANIFEST, config_type="application/vnd.oci.image.config.v1+json"):
        """layers: [(media type, bytes)]. Returns the manifest's descriptor."""
        config = self.push_blob(repo, b"{}")
        manifest = {"schemaVersion": 2, "mediaType": media_type,
                    "config": dict(config, mediaType=config_type),
                    "layers": [dict(self.push_blob(repo, data), mediaType=kind) for kind, data in layers]}
        return self.push_manifest(repo, tag, manifest, media_type)

    def blob_path(self, sha256):
        return os.path.join(self.dir, "data/docker/registry/v2/blobs/sha256", sha256[:2], sha256, "data")
