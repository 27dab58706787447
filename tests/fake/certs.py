"""A throw-away CA and a server certificate for 127.0.0.1 and localhost, by openssl(1)."""
import collections
import os
import subprocess

Certs = collections.namedtuple("Certs", "ca cert key")


def run(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make(folder):
    path = lambda name: os.path.join(folder, name)  # noqa: E731
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=test CA", "-keyout", path("ca.key"), "-out", path("ca.pem"))
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test",
        "-keyout", path("key.pem"), "-out", path("cert.csr"))
    with open(path("ext"), "w") as f:
        f.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run("x509", "-req", "-in", path("cert.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
        "-CAcreateserial", "-days", "2", "-extfile", path("ext"), "-out", path("cert.pem"))
    return Certs(path("ca.pem"), path("cert.pem"), path("key.pem"))
