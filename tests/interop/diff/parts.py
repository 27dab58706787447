"""All parts of the comparison, by name."""
import http2
import raw
import tcp
import tls

PARTS = {p.name: p for p in (raw.Http1, raw.Responses, raw.Upgrades, http2.Http2, tls.Tls, tcp.Tcp)}
