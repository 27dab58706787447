"""A throw-away authority that signs what tests ask for, by openssl(1)."""
import os
import subprocess
import tempfile


def openssl(*args, **more):
    return subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, **more)


class Pki:
    """Files in a folder: ca.pem, and NAME.pem and NAME.key for each cert()."""

    def __init__(self, subject="/O=Test/CN=Test CA"):
        self.folder = tempfile.TemporaryDirectory(prefix="remora-pki-")
        self.serial = 0x1000
        self.serials = {}
        self.key("ca")
        openssl("req", "-x509", "-new", "-key", self.path("ca.key"), "-days", "2",
                "-subj", subject, "-out", self.path("ca.pem"),
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def read(self, name):
        with open(self.path(name), encoding="ascii") as f:
            return f.read()

    def key(self, name):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout",
                "-out", self.path(name + ".key"))

    def cert(self, name, sans, days=2, subject=None, extensions=""):
        """sans: "URI:spiffe://a/b,DNS:x". extensions: further lines."""
        self.key(name)
        self.serial += 1
        self.serials[name] = self.serial
        with open(self.path(name + ".ext"), "w", encoding="ascii") as f:
            f.write("subjectAltName=%s\nkeyUsage=digitalSignature\n"
                    "extendedKeyUsage=serverAuth,clientAuth\n%s" % (sans, extensions))
        openssl("req", "-new", "-key", self.path(name + ".key"), "-subj", subject or "/CN=" + name,
                "-out", self.path(name + ".csr"))
        openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path("ca.pem"),
                "-CAkey", self.path("ca.key"), "-set_serial", hex(self.serial),
                "-days", str(days), "-extfile", self.path(name + ".ext"),
                "-out", self.path(name + ".pem"))

    def ocsp(self, name, minutes=60):
        """Makes NAME.ocsp: the authority's word, for so long, that the certificate is good. 0: for
        now only (no nextUpdate)."""
        with open(self.path("index.txt"), "w", encoding="ascii") as f:
            f.write("V\t400101000000Z\t\t%X\tunknown\t/CN=%s\n" % (self.serials[name], name))
        openssl("ocsp", "-issuer", self.path("ca.pem"), "-cert", self.path(name + ".pem"),
                "-no_nonce", "-reqout", self.path("ocsp.req"))
        openssl("ocsp", "-index", self.path("index.txt"), "-CA", self.path("ca.pem"),
                "-rsigner", self.path("ca.pem"), "-rkey", self.path("ca.key"),
                "-reqin", self.path("ocsp.req"), "-respout", self.path(name + ".ocsp"),
                *(["-nmin", str(minutes)] if minutes else []))

    def tls_certificate(self, name):
        """A TlsCertificate, inline."""
        return {"certificate_chain": {"inline_string": self.read(name + ".pem")},
                "private_key": {"inline_string": self.read(name + ".key")}}

    def fingerprint(self, name):
        out = subprocess.run(["openssl", "x509", "-in", self.path(name + ".pem"), "-noout",
                              "-fingerprint", "-sha256"], check=True, capture_output=True,
                             text=True).stdout
        return out.split("=")[1].strip().replace(":", "").lower()

    def close(self):
        self.folder.cleanup()
