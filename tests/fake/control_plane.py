#!/usr/bin/python3
"""A small xDS control plane: ADS over gRPC, state of the world and incremental, from a folder of
Envoy YAML or JSON, which is read again whenever it changes.

It prints what clients answer ("ACK lds v3", "NACK ecds v4: text"). Tests drive it as a module, or
by POST of {"op": ..., ...} to the control port; see Server.OPS."""
import argparse
import http.server
import itertools
import json
import os
import queue
import sys
import threading
import time
from concurrent import futures

import grpc

from resources import PROTO, URLS, Folder, Messages, Resource, load_text, short_name

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
DISCOVERY = "envoy.service.discovery.v3."
# Of the services that have one type each.
OWN_METHODS = {"Stream" + n for n in (
    "Clusters", "Endpoints", "Listeners", "Routes", "Secrets", "Runtime", "ScopedRoutes",
    "ExtensionConfigs")} | {"Delta" + n for n in (
        "Clusters", "Endpoints", "Listeners", "Routes", "Secrets", "Runtime", "ScopedRoutes",
        "ExtensionConfigs", "VirtualHosts")}


def set_ttl(resource, seconds):
    if seconds is not None:
        resource.ttl.seconds = int(seconds)
        resource.ttl.nanos = round(seconds % 1 * 1e9)


class Watch:
    """One type on one stream."""

    def __init__(self):
        self.names = set()
        self.is_wildcard = False
        self.known = {}  # name -> version the client has (incremental)
        self.nonce = ""
        self.versions = {}  # nonce -> version
        self.last = None  # last response, to send it again

    def wants(self, name):
        return self.is_wildcard or name in self.names


class Stream:
    kind = None

    def __init__(self, server, number, context):
        self.server, self.number, self.context = server, number, context
        self.messages = server.messages
        self.watches = {}
        self.out = queue.Queue()
        self.nonces = itertools.count(1)

    def log(self, **row):
        self.server.log(stream=self.number, kind=self.kind, **row)

    def run(self, requests):
        threading.Thread(target=self._read, args=(requests,), daemon=True).start()
        while True:
            item = self.out.get()
            if item is None:
                return
            if isinstance(item, grpc.StatusCode):
                self.context.abort(item, "closed by the control plane")
            time.sleep(self.server.delay_ms / 1000)
            yield item

    def _read(self, requests):
        try:
            for data in requests:
                with self.server.lock:
                    self.receive(self.messages.parse(DISCOVERY + self.request_type, data))
        except grpc.RpcError:
            pass
        except Exception as e:
            self.log(event="error", text=repr(e))
            print(f"stream {self.number}: {e!r}", file=sys.stderr, flush=True)
        self.out.put(None)

    def note(self, request, watch, **row):
        error = None
        if request.HasField("error_detail"):
            error = {"code": request.error_detail.code, "message": request.error_detail.message}
        self.log(event="request", type=short_name(request.type_url), nonce=request.response_nonce,
                 error=error, node=request.node.id if request.HasField("node") else None, **row)
        if request.response_nonce and watch:
            what = f"{short_name(request.type_url)} {watch.versions.get(request.response_nonce, '?')}"
            if error:
                self.server.say(f"NACK {what}: {error['message']}")
            elif self.is_ack(request, watch):
                self.server.say(f"ACK {what}")

    def send(self, type_url, watch, response, version):
        if watch:
            watch.last = response
            watch.nonce = response.nonce
            watch.versions[response.nonce] = version
        self.log(event="response", type=short_name(type_url), version=version,
                 nonce=response.nonce, names=self.names_of(response))
        self.out.put(response.SerializeToString(deterministic=True))

    def nonce(self):
        return f"{self.number}-{next(self.nonces)}"


class SotwStream(Stream):
    kind = "sotw"
    request_type = "DiscoveryRequest"

    @staticmethod
    def names_of(response):
        return len(response.resources)

    @staticmethod
    def is_ack(request, watch):
        return request.version_info == watch.versions.get(request.response_nonce)

    def receive(self, request):
        url, names = request.type_url, set(request.resource_names)
        watch = self.watches.get(url)
        is_stale = bool(watch and request.response_nonce != watch.nonce)
        self.note(request, watch, names=sorted(names), version=request.version_info,
                  stale=is_stale)
        if is_stale:
            return
        first = watch is None
        if first:
            watch = self.watches[url] = Watch()
        is_wildcard = "*" in names or (not names and (first or watch.is_wildcard))
        names.discard("*")
        changed = not first and (names, is_wildcard) != (watch.names, watch.is_wildcard)
        watch.names, watch.is_wildcard = names, is_wildcard
        if first:
            if self.server.knows(url) and request.version_info != self.server.version_of(url):
                self.push(url)
        elif changed and (names or is_wildcard):
            self.push(url)
        elif request.HasField("error_detail") and self.server.resend_refused:
            self.resend(url)

    def push(self, url, resources=None, version=None, inner_url=None, wrap=False, ttl=None,
             heartbeat=False):
        watch = self.watches.get(url)
        if resources is None:
            resources = [r for r in self.server.of_type(url).values() if watch.wants(r.name)]
        response = self.messages.new(DISCOVERY + "DiscoveryResponse", type_url=url,
                                     version_info=version or self.server.version_of(url),
                                     nonce=self.nonce())
        for r in resources:
            packed = response.resources.add()
            if wrap or ttl or heartbeat:
                outer = self.messages.new(DISCOVERY + "Resource")
                outer.name, outer.version = r.name, r.version
                set_ttl(outer, ttl)
                if not heartbeat:
                    outer.resource.type_url, outer.resource.value = inner_url or url, r.value
                packed.type_url = "type.googleapis.com/" + DISCOVERY + "Resource"
                packed.value = outer.SerializeToString()
            else:
                packed.type_url, packed.value = inner_url or url, r.value
        self.send(url, watch, response, response.version_info)

    def resend(self, url):
        watch = self.watches[url]
        response = self.messages.new(DISCOVERY + "DiscoveryResponse")
        response.CopyFrom(watch.last)
        response.nonce = self.nonce()
        self.send(url, watch, response, response.version_info)


class DeltaStream(Stream):
    kind = "delta"
    request_type = "DeltaDiscoveryRequest"

    @staticmethod
    def names_of(response):
        return len(response.resources)

    @staticmethod
    def is_ack(request, watch):
        return True

    def receive(self, request):
        url = request.type_url
        watch = self.watches.get(url)
        is_stale = bool(watch and request.response_nonce and request.response_nonce != watch.nonce)
        self.note(request, watch, subscribe=sorted(request.resource_names_subscribe),
                  unsubscribe=sorted(request.resource_names_unsubscribe),
                  initial=dict(request.initial_resource_versions), stale=is_stale)
        first = watch is None
        if first:
            watch = self.watches[url] = Watch()
            watch.known = dict(request.initial_resource_versions)
            watch.is_wildcard = not request.resource_names_subscribe
        asked = set(request.resource_names_subscribe)
        if "*" in asked:
            asked.discard("*")
            watch.is_wildcard = True
        watch.names |= asked
        for name in request.resource_names_unsubscribe:
            watch.names.discard(name)
            watch.known.pop(name, None)
        if first and not request.initial_resource_versions:
            self.push_changes(url, always=asked, is_first=True)
        elif first:
            self.push_changes(url, always=asked - set(watch.known))
        elif asked:
            self.push_changes(url, always=asked)
        elif request.HasField("error_detail") and self.server.resend_refused:
            self.resend(url)

    def version_of(self, resource):
        return "" if self.server.has_empty_versions else resource.version

    def push_changes(self, url, always=(), is_first=False):
        watch, have = self.watches[url], self.server.of_type(url)
        if url in self.server.silent:
            return
        send = [r for r in have.values() if watch.wants(r.name) and (
            r.name in always or watch.known.get(r.name) != r.version)]
        removed = [n for n in set(watch.known) | set(always) if n not in have]
        if send or removed or (is_first and self.server.knows(url)):
            self.push(url, send, removed=removed)

    def push(self, url, resources=None, version=None, inner_url=None, removed=(), wrap=False,
             ttl=None, heartbeat=False):
        watch = self.watches.get(url)
        if resources is None:
            self.push_changes(url)
            return
        version = version or self.server.version_of(url)
        response = self.messages.new(DISCOVERY + "DeltaDiscoveryResponse", type_url=url,
                                     system_version_info=version, nonce=self.nonce(),
                                     removed_resources=sorted(removed))
        for r in resources:
            item = response.resources.add()
            item.name, item.version = r.name, self.version_of(r)
            set_ttl(item, ttl)
            if not heartbeat:
                item.resource.type_url, item.resource.value = inner_url or url, r.value
            if watch:
                watch.known[r.name] = r.version
        for name in removed:
            if watch:
                watch.known.pop(name, None)
        self.send(url, watch, response, version)

    def resend(self, url):
        watch = self.watches[url]
        response = self.messages.new(DISCOVERY + "DeltaDiscoveryResponse")
        response.CopyFrom(watch.last)
        response.nonce = self.nonce()
        self.send(url, watch, response, response.system_version_info)


class Server(grpc.GenericRpcHandler):
    METHODS = {SERVICE + "StreamAggregatedResources": SotwStream,
               SERVICE + "DeltaAggregatedResources": DeltaStream}
    OPS = ("set", "remove", "drop", "raw", "garbage", "resend", "delay", "resend_refused", "rows")

    def __init__(self, messages, log_path=None, has_empty_versions=False, say=None):
        self.messages = messages
        self.lock = threading.RLock()
        self.resources = {}  # type_url -> {name: Resource}
        self.versions = {}  # type_url -> number
        self.silent = set()  # type_urls that are not answered on incremental streams
        self.streams = {}
        self.numbers = itertools.count(1)
        self.has_empty_versions = has_empty_versions
        self.resend_refused = False
        self.delay_ms = 0
        self.rows = []
        self.say = say or (lambda text: print(text, flush=True))
        self.log_file = open(log_path, "a", encoding="utf-8") if log_path else None

    # ---- gRPC ----

    def service(self, call):
        stream_class = self.METHODS.get(call.method)
        method = call.method.rsplit("/", 1)[1]
        if not stream_class and method in OWN_METHODS:
            stream_class = SotwStream if method.startswith("Stream") else DeltaStream
        if not stream_class:
            return None

        def serve(requests, context):
            with self.lock:
                stream = stream_class(self, next(self.numbers), context)
                self.streams[stream.number] = stream
                stream.log(event="open", method=call.method,
                           metadata=dict(context.invocation_metadata()))
            try:
                yield from stream.run(requests)
            finally:
                with self.lock:
                    self.streams.pop(stream.number, None)
                    stream.log(event="close")

        return grpc.stream_stream_rpc_method_handler(serve)

    def start(self, address, credentials=None):
        """Returns the port."""
        self.grpc = grpc.server(futures.ThreadPoolExecutor(64), handlers=[self], options=[
            ("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10000)])
        port = (self.grpc.add_secure_port(address, credentials) if credentials
                else self.grpc.add_insecure_port(address))
        if not port:
            raise OSError(f"cannot listen on {address}")
        self.grpc.start()
        return port

    def stop(self):
        self.drop()
        self.grpc.stop(0).wait()

    # ---- state ----

    def log(self, **row):
        row["time"] = round(time.monotonic(), 4)
        with self.lock:
            self.rows.append(row)
            del self.rows[:-100000]
            if self.log_file:
                self.log_file.write(json.dumps(row) + "\n")
                self.log_file.flush()

    def of_type(self, url):
        return self.resources.get(url, {})

    def knows(self, url):
        """A type that never had resources is left unanswered."""
        return url in self.resources

    def version_of(self, url):
        return f"v{self.versions.get(url, 1)}"

    def replace(self, resources):
        """{type_url: {name: Resource}}: what changed is sent to everybody who asked for it."""
        with self.lock:
            changed = []
            for url in [u for u in URLS.values() if u in resources or u in self.resources]:
                new = resources.get(url, {})
                old = self.resources.get(url)
                if old is not None and {n: r.version for n, r in old.items()} == {
                        n: r.version for n, r in new.items()}:
                    continue
                self.resources[url] = new
                self.versions[url] = self.versions.get(url, 0) + 1
                changed.append(url)
            for url in changed:
                for stream in list(self.streams.values()):
                    if url in stream.watches:
                        stream.push(url)

    # ---- what tests ask for ----

    def find(self, url, names):
        return [self.of_type(url)[n] for n in names]

    def set(self, text):
        """Adds or replaces the resources of a YAML text."""
        with self.lock:
            resources = {u: dict(rs) for u, rs in self.resources.items()}
            for r in load_text(self.messages, text):
                resources.setdefault(r.type_url, {})[r.name] = r
            self.replace(resources)

    def remove(self, type, names):
        with self.lock:
            resources = {u: dict(rs) for u, rs in self.resources.items()}
            for name in names:
                resources.get(URLS[type], {}).pop(name, None)
            self.replace(resources)

    def drop(self, status="UNAVAILABLE"):
        """Ends all streams."""
        with self.lock:
            for stream in self.streams.values():
                stream.out.put(getattr(grpc.StatusCode, status))

    def raw(self, type, documents=(), inner_url=None, removed=(), **options):
        """Sends a response as told, whatever it is: `type` a short name or any URL; documents may
        repeat or miss what the client has, have a ttl in seconds, or be heartbeats."""
        url = URLS.get(type, type)
        with self.lock:
            if removed:
                options["removed"] = removed
            resources = [Resource(self.messages, d) for d in documents]
            for stream in self.streams.values():
                stream.push(url, resources, inner_url=inner_url, **options)

    def garbage(self, hex):
        """Sends bytes as a message."""
        with self.lock:
            for stream in self.streams.values():
                stream.out.put(bytes.fromhex(hex))

    def resend(self, type):
        """The last response of the type again, with a new nonce."""
        with self.lock:
            for stream in self.streams.values():
                stream.resend(URLS[type])

    def delay(self, ms):
        self.delay_ms = ms

    def set_resend_refused(self, is_on):
        self.resend_refused = is_on


def serve_control(server, port):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            status, reply = 200, "ok"
            try:
                command = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                op = command.pop("op")
                if op not in Server.OPS:
                    raise ValueError(f"no such op: {op}")
                if op == "rows":
                    reply = json.dumps(server.rows)
                else:
                    getattr(server, "set_" + op if op == "resend_refused" else op)(**command)
            except Exception as e:
                status, reply = 400, repr(e)
            data = reply.encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    p.add_argument("--dir", required=True, help="folder of *.yaml, *.yml, *.json")
    p.add_argument("--port", type=int, default=18000)
    p.add_argument("--address", default="127.0.0.1", help="or unix:PATH (then without --port)")
    p.add_argument("--delta-versions", choices=["hash", "empty"], default="hash",
                   help="empty: give resources no version, as istiod does")
    p.add_argument("--log", help="file for every request and response, one JSON object a line")
    p.add_argument("--control", type=int, help="port on 127.0.0.1 for commands")
    p.add_argument("--descriptors", help="descriptor set of the messages; default: protoc makes it")
    p.add_argument("--proto", default=PROTO, help="folder of the .proto files for that")
    a = p.parse_args()
    messages = Messages(a.descriptors, a.proto)
    server = Server(messages, a.log, a.delta_versions == "empty")
    folder = Folder(messages, a.dir)
    if not os.path.isdir(a.dir):
        p.error(f"{a.dir} is no folder")
    folder.poll(at_once=True)
    # Of these the answer is complete even when there are none.
    everything = {url: {} for url in URLS.values()}
    server.replace({**everything, **folder.resources()})
    address = a.address if a.address.startswith("unix:") else f"{a.address}:{a.port}"
    server.start(address)
    if a.control:
        serve_control(server, a.control)
    count = sum(len(rs) for rs in server.resources.values())
    print(f"serving {count} resources of {a.dir} on {address}", flush=True)
    try:
        while True:
            time.sleep(0.2)
            if folder.poll():
                server.replace({**everything, **folder.resources()})
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
