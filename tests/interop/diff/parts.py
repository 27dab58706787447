"""All parts of the comparison, by name."""
import http2
import logs
import raw
import tables
import tcp
import tls

PARTS = {p.name: p for p in (
    tables.Routes, tables.Hcm, tables.Scopes, tables.LocalReplies, raw.Http1, raw.Responses,
    raw.Upgrades, http2.Http2, tls.Tls, tcp.Tcp, logs.HttpLogs, logs.TlsLogs, logs.TcpLogs)}
