"""What all parts of the comparison share: two proxies that run at once on one configuration, cases
in threads, outcomes as flat dictionaries, and the table of known differences.

A part is a class with
    config()         the bootstrap, for ports that are its own
    groups           {name: [case name, ...]}; cases of a group run in order, groups side by side
    ask(group, case, patience)  -> {key: value}, all plain data and free of ports and times
    stat_roots(group) -> {prefix of statistics: what to call it}
    close()
There is one instance per proxy. What differs is asked again with more patience before it counts,
so that waiting times can be short."""
import concurrent.futures
import contextlib
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TESTS, "flow"), os.path.join(TESTS, "fake"),
                os.path.join(TESTS, "bench")]
from lib import BINARY, address, free_port, http, shutil, wait_for  # noqa: E402

THREADS = 6
# A load balancer's first choice, sizes with times in them, and what only one connection more or
# less decides.
UNSTEADY_STATS = ("*_bytes_total", "*_bytes_buffered", "*flow_control*", "*.lb_*", "*_ms", "*_time",
                  "*update_*", "*assignment_*", "*worker_*", "*.downstream_cx_length*",
                  "*delayed_close_timeout")  # Remora sends its FIN at once, clients close then


TELLING = ("0.start", "up.0.start", "end", "failed")


def matches(text, patterns):
    return any(fnmatch.fnmatchcase(text, p) for p in patterns)


def load(name):
    with open(os.path.join(HERE, name + ".yaml"), encoding="utf-8") as f:
        return yaml.safe_load(f)


# ---- proxies ----

class Proxy:
    """Envoy or Remora on a configuration, ready."""

    def __init__(self, name, binary, config, more):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="remora-diff-")
        self.admin_port = free_port()
        config = dict(config)
        config.setdefault("node", {"id": "test", "cluster": "test"})
        config["admin"] = {"address": address(self.admin_port)}
        path = os.path.join(self.dir, "config.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        self.log_path = os.path.join(self.dir, "log")
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [binary, "-c", path, "--concurrency", "1", "-l", "warning", *more(self.dir)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            wait_for(name, self.is_ready, 40)
        except BaseException:
            with contextlib.suppress(AssertionError):
                self.close()
            raise

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def get(self, path, method="GET"):
        return http(self.admin_port, "%s %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
                    % (method, path))

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("%s ended:\n%s" % (self.name, self.log()[-3000:]))
        try:
            return self.get("/ready").status == 200
        except (OSError, EOFError):
            return False

    def counters(self):
        out = {}
        for line in self.get("/stats?type=Counters").body.decode().splitlines():
            name, _, value = line.partition(": ")
            if value.isdigit():
                out[name] = int(value)
        return out

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        if self.process.returncode:  # a crash, or what a sanitizer found
            raise AssertionError("%s ended with %s:\n%s" % (
                self.name, self.process.returncode, log[-4000:]))


def start_envoy(config):
    import peers
    return Proxy("Envoy", os.environ.get("ENVOY") or peers.envoy_binary(), config,
                 lambda _: ["--disable-hot-restart", "--file-flush-interval-msec", "50"])


def start_remora(config):
    return Proxy("Remora", BINARY, config, lambda d: [
        "--data-dir", os.path.join(d, "data"), "--file-flush-interval-msec", "50"])


# ---- runs ----

class Run:
    """A part on one proxy."""

    def __init__(self, part, start):
        self.part = part()
        try:
            self.proxy = start(self.part.config())
        except BaseException:
            self.part.close()
            raise

    def ask(self, group, case, patience=1):
        try:
            return self.part.ask(group, case, patience)
        except (OSError, EOFError, AssertionError) as e:
            return {"failed": "%s: %s" % (type(e).__name__, e)}

    def all(self, wanted):
        """{group: {case: outcome}} of the cases wanted."""
        def one(group):
            return group, {c: self.ask(group, c) for c in self.part.groups[group]
                           if wanted("%s/%s" % (group, c))}
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            return dict(pool.map(one, self.part.groups))

    def read_stats(self):
        now = self.proxy.counters()
        return {group: {called + name[len(root):]: value
                        for root, called in self.part.stat_roots(group).items()
                        for name, value in now.items() if name.startswith(root)}
                for group in self.part.groups}

    def stats(self):
        """{group: {name: value}}, once they stand still."""
        now = self.read_stats()
        for _ in range(20):
            before, now = now, self.read_stats()
            if now == before:
                break
            time.sleep(0.15)
        return now

    def close(self):
        try:
            self.proxy.close()
        finally:
            self.part.close()


def side_by_side(*calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(c) for c in calls]
        return [f.result() for f in futures]


class Known:
    """Differences that are meant. Each entry of known.yaml has part, case and key (lists of
    patterns) and why, quiet if statistics are the same nevertheless,
    sometimes if time decides; one that explains nothing any more is a finding itself."""

    def __init__(self):
        self.entries = load("known")
        self.used = set()

    def explains(self, part, case, key):
        for i, e in enumerate(self.entries):
            for pattern in e["case"] if e["part"] == part else ():
                if fnmatch.fnmatchcase(case, pattern) and matches(key, e.get("key", ["*"])):
                    self.used.add((i, pattern))
                    return True
        return False

    def is_about(self, part, case):
        """Whether some of its outcome is known to differ, and statistics with it."""
        return any(e["part"] == part and not e.get("quiet") and matches(case, e["case"])
                   for e in self.entries)

    def stale(self, parts):
        return ["known.yaml: %s %s %s does not differ any more" % (
            e["part"], pattern, e.get("key", "*"))
            for i, e in enumerate(self.entries) if e["part"] in parts
            if not e.get("sometimes") for pattern in e["case"] if (i, pattern) not in self.used]


def differences(e, r):
    return [k for k in sorted(set(e) | set(r)) if e.get(k) != r.get(k)]


class Comparison:
    def __init__(self, name, part, known):
        self.name, self.known, self.findings, self.cases = name, known, [], 0
        self.only_envoy = set()
        self.envoy = self.remora = None
        runs = []

        def start(starter):
            run = Run(part, starter)
            runs.append(run)
            return run
        try:
            self.envoy, self.remora = side_by_side(
                lambda: start(start_envoy), lambda: start(start_remora))
            self.compare()
        finally:
            for run in runs:
                run.close()

    def compare(self):
        """First what should be the same, then the statistics of that, then the rest."""
        def is_known(case):
            return self.known.is_about(self.name, case)
        changed = self.compare_cases(lambda case: not is_known(case))
        e_stats, r_stats = side_by_side(self.envoy.stats, self.remora.stats)
        for group in self.envoy.part.groups:
            if group not in changed:
                self.compare_stats(group, e_stats[group], r_stats[group])
        self.compare_cases(is_known)

    def compare_cases(self, wanted):
        """Groups in which something differed at first, or does."""
        changed = set()
        e_all, r_all = side_by_side(lambda: self.envoy.all(wanted),
                                    lambda: self.remora.all(wanted))
        for group, cases in e_all.items():
            for case, e in cases.items():
                self.cases += 1
                if differences(e, r_all[group][case]):
                    changed.add(group)
                    self.compare_again(group, case)
        return changed

    def compare_again(self, group, case):
        e, r = side_by_side(lambda: self.envoy.ask(group, case, 6),
                            lambda: self.remora.ask(group, case, 6))
        self.differs("%s/%s" % (group, case), differences(e, r), e, r)

    def compare_stats(self, group, e, r):
        keys = [k for k in sorted(set(e) & set(r)) if e[k] != r[k] and not matches(k, UNSTEADY_STATS)]
        self.differs("%s/stats" % group, keys, e, r)
        self.only_envoy |= {k for k in set(e) - set(r) if e[k]}

    def differs(self, case, keys, e, r):
        keys = [k for k in keys if not self.known.explains(self.name, case, k)]
        # With another outcome all else differs as well.
        keys = [k for k in keys if k in TELLING] or keys
        if keys:
            self.findings.append("%s %s:%s" % (self.name, case, "".join(
                "\n    %-30s %.200r, not %.200r" % (k, r.get(k), e.get(k)) for k in keys)))


# ---- what outcomes are made of ----

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$")


def steady(name, value):
    """A header's value without what differs from run to run."""
    if name == "date":
        return "DATE" if re.match(r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", value) else value
    if name == "x-envoy-upstream-service-time":
        return "MS" if value.isdigit() else value
    if name == "x-envoy-expected-rq-timeout-ms" and value.isdigit():
        unit = 1000 if int(value) > 1000 else 100
        return str(-(-int(value) // unit) * unit)  # some of it may have passed
    if name == "x-request-id":
        return UUID.sub(r"UUID-\1", value)
    return value


def fold(prefix, headers, out, replace=()):
    """Adds headers (pairs) to out; repeated ones as a list joined by " | "."""
    for k, v in headers:
        k = prefix + k.lower()
        v = steady(k[len(prefix):], v)
        for text, by in replace if not k.endswith("timeout-ms") else ():
            v = v.replace(text, by)
        out[k] = out[k] + " | " + v if k in out else v
