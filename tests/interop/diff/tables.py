"""The tables of routes and of the connection manager, which the flow story reads as well, as parts:
each case is a listener, each of its requests a case of the comparison. See routes.yaml."""
import threading

import differ
from engine import fold


class Table:
    def __init__(self):
        self.rig = differ.Rig(differ.load(self.name))
        self.lock = threading.Lock()  # the origins are shared
        self.groups, self.numbers = {}, {}
        for i, case in enumerate(self.rig.cases):
            group = "%d %s" % (i, case["name"])
            self.groups[group] = []
            for j, r in enumerate(case["requests"]):
                name = "%d %s" % (j, r["path"])
                self.groups[group].append(name)
                self.numbers[group, name] = (i, r)

    def config(self):
        return self.rig.config

    def stat_roots(self, _group):
        return {}

    def ask(self, group, case, _patience):
        i, r = self.numbers[group, case]
        with self.lock:
            outcome = self.rig.ask(i, r)
        out = {k: v for k, v in outcome.items() if k not in ("got", "sent")}
        for side in "got", "sent":
            fold(side + ".", (outcome.get(side) or {}).items(), out,
                 ((str(self.rig.ports[i]), "PORT"),))
        for line in differ.check(self.rig.cases[i], r, outcome):
            out["wanted"] = line
        return out

    def close(self):
        self.rig.close()


class Routes(Table):
    name = "routes"


class Hcm(Table):
    name = "hcm"


class Scopes(Table):
    name = "scopes"


class LocalReplies(Table):
    name = "local_replies"
