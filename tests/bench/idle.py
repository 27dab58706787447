"""What a connection costs that is idle after a request: anonymous memory of the process, between
few and many of them."""
import resource
import socket
import ssl

FEW, MANY = 200, 1200
KINDS = (("plain", "http"), ("TLS", "tls"))
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


def allow_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))


def open_one(port, tls):
    s = socket.create_connection(("127.0.0.1", port), 10)
    if tls:
        s = tls.wrap_socket(s, server_hostname="bench.test")
    s.sendall(REQUEST)
    got = b""
    while b"\r\n\r\n" not in got or not got.endswith(b"xxxx"):
        data = s.recv(4096)
        if not data:
            raise OSError("closed after %r" % got[:80])
        got += data
    return s


def measure_idle(process, ports):
    """KiB per connection by kind. All stay open to the end: what one kind freed would be there for
    the next."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found, held = {}, []
    try:
        for kind, port in KINDS:
            memory = []
            for number in (FEW, MANY - FEW):
                held += [open_one(ports[port], context if kind == "TLS" else None)
                         for _ in range(number)]
                memory.append(process.memory_kib()[1])
            found[kind] = (memory[1] - memory[0]) / (MANY - FEW)
    finally:
        for s in held:
            s.close()
    return found


def print_idle(found):
    if not found:
        return
    print("\nidle connections after one request, RssAnon KiB each (%d..%d of them):" % (FEW, MANY))
    for name, by_kind in found.items():
        print("%-16s %s" % (name, "   ".join(
            "%s %6.1f  /envoy %s" % (kind, value, "%.2f" % (value / found["envoy"][kind])
                                     if found.get("envoy", {}).get(kind) else "-")
            for kind, value in by_kind.items())))
