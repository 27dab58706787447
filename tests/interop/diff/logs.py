"""Lines of the access log, operator by operator, as text and as JSON, for requests by HTTP and TLS,
and for connections of TCP. The cases are of the other parts' forms; of their outcome the log alone
counts here."""
import json
import os
import re
import shutil
import tempfile
import time

import http2
import tcp
import tls

FILE = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
MARK = "\x1f"
TIMES = ["START_TIME", "START_TIME(%s.%3f)", "START_TIME(%Y-%m-%dT%H:%M:%E3S)",
         "START_TIME_LOCAL(%z)", "EMIT_TIME"]
DURATIONS = ["DURATION", "REQUEST_DURATION", "REQUEST_TX_DURATION", "RESPONSE_DURATION",
             "RESPONSE_TX_DURATION", "COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)",
             "COMMON_DURATION(DS_RX_BEG:US_TX_BEG)", "COMMON_DURATION(US_TX_BEG:US_TX_END:ns)",
             "COMMON_DURATION(US_RX_BEG:US_RX_END)", "COMMON_DURATION(DS_TX_BEG:DS_TX_END)"]
IDS = ["CONNECTION_ID", "UPSTREAM_CONNECTION_ID", "STREAM_ID", "UNIQUE_ID",
       "DOWNSTREAM_TLS_SESSION_ID"]
ADDRESSES = [side + "_" + what for side in ("DOWNSTREAM", "UPSTREAM") for what in (
    "REMOTE_ADDRESS", "REMOTE_ADDRESS_WITHOUT_PORT", "LOCAL_ADDRESS", "LOCAL_ADDRESS_WITHOUT_PORT")
             ] + ["DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
                  "DOWNSTREAM_DIRECT_LOCAL_ADDRESS", "UPSTREAM_HOST", "UPSTREAM_HOST_NAME",
                  "UPSTREAM_HOST_NAME_WITHOUT_PORT"]
PORTS = ["DOWNSTREAM_REMOTE_PORT", "DOWNSTREAM_LOCAL_PORT", "UPSTREAM_REMOTE_PORT",
         "UPSTREAM_LOCAL_PORT"]
PLAIN = [
    "PROTOCOL", "UPSTREAM_PROTOCOL", "RESPONSE_CODE", "RESPONSE_CODE_DETAILS",
    "RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)", "RESPONSE_FLAGS", "RESPONSE_FLAGS_LONG",
    "CONNECTION_TERMINATION_DETAILS", "BYTES_RECEIVED", "BYTES_SENT", "LOCAL_REPLY_BODY",
    "GRPC_STATUS", "GRPC_STATUS(SNAKE_STRING)", "GRPC_STATUS(NUMBER)", "GRPC_STATUS_NUMBER",
    "REQUEST_HEADERS_BYTES", "RESPONSE_TRAILERS_BYTES", "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_TRANSPORT_FAILURE_REASON", "UPSTREAM_REQUEST_ATTEMPT_COUNT", "ROUTE_NAME",
    "FILTER_CHAIN_NAME", "VIRTUAL_CLUSTER_NAME", "ACCESS_LOG_TYPE", "REQUESTED_SERVER_NAME",
    "TRACE_ID", "CUSTOM_FLAGS", "HOSTNAME", "ENVIRONMENT(NOBODY_SET_THIS)",
    "REQ(:METHOD)", "REQ(:PATH):5", "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)", "REQ(:AUTHORITY)",
    "REQ(:SCHEME)", "REQ(X-MISSING)", "REQ(X-MANY)", "REQUEST_HEADER(USER-AGENT)",
    "REQ(X-FORWARDED-FOR)", "REQ(X-FORWARDED-PROTO)", "RESP(SERVER)", "RESP(CONTENT-TYPE)",
    "RESPONSE_HEADER(CONTENT-LENGTH)", "RESP(:STATUS)", "TRAILER(GRPC-STATUS)",
    "RESPONSE_TRAILER(X-T)", "PATH", "PATH(NQ)", "PATH(WQ:ORIG)", "PATH(NQ:PATH)",
    "QUERY_PARAM(a)", "QUERY_PARAM(missing)"]
TLS = ["DOWNSTREAM_TLS_VERSION", "DOWNSTREAM_TLS_CIPHER", "UPSTREAM_TLS_VERSION",
       "DOWNSTREAM_LOCAL_SUBJECT", "DOWNSTREAM_PEER_SUBJECT", "DOWNSTREAM_PEER_ISSUER",
       "DOWNSTREAM_PEER_SERIAL", "DOWNSTREAM_PEER_CERT", "DOWNSTREAM_PEER_CERT_V_START",
       "DOWNSTREAM_PEER_CERT_V_END", "DOWNSTREAM_PEER_CERT_V_END(%Y)",
       "DOWNSTREAM_PEER_FINGERPRINT_256", "DOWNSTREAM_PEER_FINGERPRINT_1"] + [
           "DOWNSTREAM_%s_%s_SAN" % (side, kind) for side in ("PEER", "LOCAL")
           for kind in ("URI", "DNS", "IP", "EMAIL")]
OPERATORS = TIMES + DURATIONS + IDS + ADDRESSES + PORTS + PLAIN + TLS


def steady(name, value):
    """What a field says beside when, where and who."""
    if name == "DOWNSTREAM_TLS_CIPHER" and str(value).startswith("TLS_"):
        return "of TLS 1.3"  # see tls.py
    if value in ("-", "", None) or name in PLAIN and name != "HOSTNAME":
        return value
    if name in TIMES:
        return re.sub(r"[0-9]", "9", str(value))
    if name in DURATIONS:
        return type(value).__name__ + (" of digits" if str(value).isdigit() else " " + str(value))
    if name in IDS:
        return "%s, %d" % (type(value).__name__, len(str(value)) if name.endswith("E_ID") else 0)
    if name in ADDRESSES:
        return re.sub(r":\d+$", ":PORT", value)
    return type(value).__name__ + " of a port" if name in PORTS else value


class Logged:
    """Before a part: each of its listeners writes a line as text and one as JSON."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="remora-diff-logs-")
        super().__init__()

    def path(self, group, kind):
        return os.path.join(self.folder, "%s.%s" % (group.replace(" ", "-"), kind))

    def logs(self, group):
        text = MARK.join("%" + o + "%" for o in OPERATORS) + "\n"
        fields = {"%03d" % i: "%" + o + "%" for i, o in enumerate(OPERATORS)}
        mixed = {"mixed": "<%REQ(X-MISSING)%|%RESPONSE_CODE%>", "literal": "a", "deep": {
            "list": ["%RESPONSE_CODE%", "%PROTOCOL%", 7, True, None]}}
        return [{"name": kind, "typed_config": {
            "@type": FILE, "path": self.path(group, kind), "log_format": log_format}}
                for kind, log_format in (
                    ("text", {"text_format_source": {"inline_string": text}}),
                    ("json", {"json_format": dict(fields, **mixed)}),
                    ("default", None)) if log_format] + [
            {"name": "default", "typed_config": {"@type": FILE, "path": self.path(group, "plain")}}]

    def config(self):
        config = super().config()
        for lst in config["static_resources"]["listeners"]:
            chains = lst["filter_chains"] + [lst[k] for k in ("default_filter_chain",) if k in lst]
            for chain in chains:
                chain["filters"][-1]["typed_config"]["access_log"] = self.logs(lst["name"][
                    2 if lst["name"].startswith("l-") else 0:])
        return config

    def read(self, group, kind, skip):
        try:
            with open(self.path(group, kind), encoding="utf-8", errors="replace") as f:
                return f.read().splitlines()[skip:]
        except FileNotFoundError:
            return []

    def wait_lines(self, group, skip, seconds):
        """Lines of the probe are none of the case's."""
        end = time.monotonic() + seconds
        while True:
            lines = self.read(group, "json", skip)
            if [r for r in lines if '"/probe"' not in r] and \
                    len(self.read(group, "text", skip)) == len(lines) or time.monotonic() > end:
                return lines
            time.sleep(0.03)

    def ask(self, group, case, patience):
        skip = len(self.read(group, "json", 0))
        super().ask(group, case, patience)
        lines = self.wait_lines(group, skip, 1.0 * patience)
        texts, plain = self.read(group, "text", skip), self.read(group, "plain", skip)
        out, n = {}, 0
        for i, line in enumerate(lines):
            if '"/probe"' in line:
                continue
            row = json.loads(line)
            for j, o in enumerate(OPERATORS):
                out["%d.json.%s" % (n, o)] = steady(o, row["%03d" % j])
            out["%d.json" % n] = [row["mixed"], row["literal"], row["deep"]]
            for o, value in zip(OPERATORS, texts[i].split(MARK) if i < len(texts) else []):
                out["%d.text.%s" % (n, o)] = steady(o, value)
            if i < len(plain):
                out["%d.default" % n] = re.sub(r"\d\d\d\d-[^]]*Z|[0-9a-f-]{36}|:\d{4,5}\b", "#",
                                               re.sub(r' \d+ (\d+|-) "', ' MS MS "', plain[i]))
            n += 1
        out["lines"] = n
        return out

    def stat_roots(self, _group):
        return {}

    def close(self):
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)


class HttpLogs(Logged, http2.Http2):
    name = "logs"


class TlsLogs(Logged, tls.Tls):
    name = "logs_tls"


class TcpLogs(Logged, tcp.Tcp):
    name = "logs_tcp"
