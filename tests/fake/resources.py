"""xDS resources as messages: types from proto/, texts from a folder of YAML or JSON files.

The messages are built from descriptors that protoc makes of the .proto files, so nothing of
Remora's own codec takes part."""
import glob
import hashlib
import os
import subprocess
import sys
import tempfile

import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

HERE = os.path.dirname(os.path.abspath(__file__))
PROTO = os.path.join(os.path.dirname(os.path.dirname(HERE)), "proto")
PREFIX = "type.googleapis.com/"

# In the order in which a change of all of them is sent.
TYPES = {
    "cds": "envoy.config.cluster.v3.Cluster",
    "eds": "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "lds": "envoy.config.listener.v3.Listener",
    "rds": "envoy.config.route.v3.RouteConfiguration",
    "ecds": "envoy.config.core.v3.TypedExtensionConfig",
    "sds": "envoy.extensions.transport_sockets.tls.v3.Secret",
    "rtds": "envoy.service.runtime.v3.Runtime",
    "srds": "envoy.config.route.v3.ScopedRouteConfiguration",
    "vhds": "envoy.config.route.v3.VirtualHost",
}
URLS = {short: PREFIX + name for short, name in TYPES.items()}
SHORT = {url: short for short, url in URLS.items()}


def short_name(type_url):
    return SHORT.get(type_url, type_url)


class Messages:
    """All message classes of proto/, by full name."""

    def __init__(self, descriptors=None, proto_dir=PROTO):
        self.pool = descriptor_pool.DescriptorPool()
        self.factory = message_factory.MessageFactory(self.pool)
        files = descriptor_pb2.FileDescriptorSet()
        if descriptors:
            with open(descriptors, "rb") as f:
                files.ParseFromString(f.read())
        else:
            files.ParseFromString(self._compile(proto_dir))
        for f in files.file:  # protoc lists a file after those it imports
            self.pool.Add(f)

    @staticmethod
    def _compile(proto_dir):
        names = [os.path.relpath(os.path.join(d, f), proto_dir)
                 for d, _, fs in os.walk(proto_dir) for f in fs if f.endswith(".proto")]
        with tempfile.NamedTemporaryFile() as out:
            subprocess.run(["protoc", f"-I{proto_dir}", "--include_imports",
                            f"--descriptor_set_out={out.name}", *sorted(names)], check=True)
            return out.read()

    def new(self, full_name, **fields):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(full_name))(**fields)

    def parse(self, name, data):
        message = self.new(name)
        message.ParseFromString(data)
        return message

    def any_of(self, document):
        """google.protobuf.Any of a document with "@type"."""
        if not isinstance(document, dict) or "@type" not in document:
            raise ValueError('a resource is a mapping with "@type"')
        message = self.new("google.protobuf.Any")
        json_format.ParseDict(document, message, descriptor_pool=self.pool)
        return message


class Resource:
    def __init__(self, messages, document):
        packed = messages.any_of(document)
        if packed.type_url not in SHORT:
            raise ValueError(f"{packed.type_url} is no resource type of this server")
        self.type_url = packed.type_url
        self.value = packed.value
        inner = messages.parse(packed.type_url[len(PREFIX):], packed.value)
        self.name = inner.cluster_name if hasattr(inner, "cluster_name") else inner.name
        if not self.name:
            raise ValueError(f"a {short_name(self.type_url)} resource without a name")
        self.version = hashlib.sha256(packed.value).hexdigest()[:12]


def load_text(messages, text):
    """Resources of a text: several documents, lists, or {resources: [...]}."""
    found = []
    for document in yaml.safe_load_all(text):
        if isinstance(document, dict) and "resources" in document:
            document = document["resources"]
        if document is None:
            continue
        found += [Resource(messages, d)
                  for d in (document if isinstance(document, list) else [document])]
    return found


class Folder:
    """Resources of a folder. A file that does not read keeps its last good content; a file that
    is being written is looked at when it has come to rest."""

    def __init__(self, messages, path, report=None):
        self.messages = messages
        self.path = path
        self.report = report or (lambda text: print(text, file=sys.stderr, flush=True))
        self.good = {}  # file -> [Resource]
        self.loaded = {}  # file -> stamp of what was loaded
        self.seen = {}  # file -> stamp at the last look

    def _stamps(self):
        stamps = {}
        for pattern in ("*.yaml", "*.yml", "*.json"):
            for name in glob.glob(os.path.join(glob.escape(self.path), pattern)):
                try:
                    s = os.stat(name)
                    stamps[name] = (s.st_mtime_ns, s.st_size, s.st_ino)
                except FileNotFoundError:
                    pass
        return stamps

    def _load(self, name, stamp):
        self.loaded[name] = stamp
        try:
            with open(name, encoding="utf-8") as f:
                self.good[name] = load_text(self.messages, f.read())
        except Exception as e:  # whatever a text can be wrong in
            kept = "; its last good content stays" if name in self.good else ""
            text = " ".join(str(e).partition("Available Fields")[0].split())
            self.report(f"{os.path.basename(name)}: {text}{kept}")

    def poll(self, at_once=False):
        """True when something changed."""
        stamps, changed = self._stamps(), False
        for name in [n for n in self.loaded if n not in stamps]:
            del self.loaded[name]
            changed |= self.good.pop(name, None) is not None
        for name, stamp in sorted(stamps.items()):
            rests = at_once or self.seen.get(name) == stamp
            if rests and self.loaded.get(name) != stamp:
                self._load(name, stamp)
                changed = True
        self.seen = stamps
        return changed

    def resources(self):
        """{type_url: {name: Resource}}"""
        found = {}
        for name in sorted(self.good):
            for r in self.good[name]:
                of_type = found.setdefault(r.type_url, {})
                if r.name in of_type:
                    self.report(f"{os.path.basename(name)}: {short_name(r.type_url)} {r.name} "
                                "is there already; the first one counts")
                else:
                    of_type[r.name] = r
        return found
