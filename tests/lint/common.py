"""What the lints share: the list of sources, text without comments and strings, the report.

A lint prints `file:line: what is wrong` for each finding and exits with 1 if there was one.
LINT_TOP is the tree to look at (default: the repository)."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.environ.get("LINT_TOP") or os.path.dirname(os.path.dirname(HERE))
PRODUCT = ("agent/", "xds/", "proto/", "wasm/", "netfilter/")
# Written to be wrong: self_check's samples.
SAMPLES = "tests/lint/samples/"


def files():
    """Paths of all files under version control, or of all files in a tree without it."""
    git = subprocess.run(["git", "-C", TOP, "ls-files", "-z"], capture_output=True, text=True)
    if git.returncode == 0 and os.path.exists(os.path.join(TOP, ".git")):
        names = git.stdout.split("\0")
    else:
        names = [os.path.relpath(os.path.join(d, f), TOP)
                 for d, _, fs in os.walk(TOP) for f in fs]
        names = [n for n in names if not n.startswith((".", "build"))]
    return sorted(n for n in names if n and not n.startswith(SAMPLES)
                  and os.path.isfile(os.path.join(TOP, n)))


def sources(*prefixes):
    """C and C++ files below the prefixes (all if none is given)."""
    return [n for n in files() if n.endswith((".c", ".h", ".cc"))
            and (not prefixes or n.startswith(prefixes))]


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8", errors="replace") as f:
        return f.read()


TOKENS = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


def code_lines(text):
    """The lines with comments and the contents of strings blanked out."""
    def blank(m):
        t = m.group(0)
        if t[0] in "\"'":
            return t[0] + " " * (len(t) - 2) + t[0]
        return re.sub(r"[^\n]", " ", t)
    return TOKENS.sub(blank, text).split("\n")


def has_reason(lines, i, what):
    """Whether a comment on line i, or one that ends above it, says `lint: WHAT: why`."""
    pattern = re.compile(r"lint: " + re.escape(what) + r": \w+")
    if pattern.search(lines[i]):
        return True
    while i > 0 and re.match(r"\s*(/\*|\*|//)", lines[i - 1]):
        i -= 1
        if pattern.search(lines[i]):
            return True
    return False


class Report:
    def __init__(self):
        self.count = 0

    def add(self, name, line, text):
        print("%s:%d: %s" % (name, line, text))
        self.count += 1

    def exit(self):
        sys.exit(1 if self.count else 0)
