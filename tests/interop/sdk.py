"""Plugins of plugins/ built with the published SDKs, once per change of their sources, into
.cache/interop. What is missing on a machine (a compiler, the way to a registry) is a skip."""
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "flow"))

from lib import TOP, Skip  # noqa: E402

CACHE = os.path.join(TOP, ".cache", "interop")
# Go's own caches stay in the folder, writable, so that removing it is enough.
GO_ENV = {"GOMODCACHE": os.path.join(CACHE, "gomod"), "GOCACHE": os.path.join(CACHE, "gobuild"),
          "GOFLAGS": "-modcacherw -buildvcs=false", "GOTOOLCHAIN": "local"}


def call(what, argv, cwd, env=None):
    """Runs a step that needs the network or a tool: failing, it is a reason to skip."""
    try:
        p = subprocess.run(argv, cwd=cwd, env=dict(os.environ, **(env or {})), text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=300, check=False)
    except FileNotFoundError as e:
        raise Skip("%s: no %s" % (what, argv[0])) from e
    except subprocess.TimeoutExpired as e:
        raise Skip("%s: took too long" % what) from e
    if p.returncode:
        raise Skip("%s: %s" % (what, " / ".join(p.stdout.strip().splitlines()[-3:])))


def compile_it(what, argv, cwd, env=None, seconds=500):
    """Runs a step on our own sources: failing, it is a failure."""
    p = subprocess.run(argv, cwd=cwd, env=dict(os.environ, **(env or {})), text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=seconds, check=False)
    if p.returncode:
        raise AssertionError("%s does not build:\n%s" % (what, p.stdout[-4000:]))


def key(folder):
    h = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            h.update(name.encode() + b"\0" + f.read() + b"\0")
    return h.hexdigest()[:12]


refusals = {}


def built(name, build, source=None, suffix=".wasm"):
    """Path of what build(work folder with a copy of the sources, path to make) made."""
    if name in refusals:
        raise refusals[name]
    try:
        return find_or_build(build, source or os.path.join(HERE, "plugins", name), name, suffix)
    except Exception as e:
        refusals[name] = e
        raise


def find_or_build(build, source, name, suffix):
    out = os.path.join(CACHE, "%s-%s%s" % (name, key(source), suffix))
    if not os.path.exists(out):
        # With the key, so that what was fetched for other versions does not get in.
        work = os.path.join(CACHE, "work-%s" % os.path.basename(out))
        shutil.copytree(source, work, dirs_exist_ok=True)
        print("building %s in %s" % (name, work), flush=True)
        build(work, out + ".tmp")
        os.rename(out + ".tmp", out)
    return out


def assemblyscript():
    def build(work, out):
        call("npm", ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], work)
        compile_it("the AssemblyScript plugin", [
            os.path.join("node_modules", ".bin", "asc"), "index.ts", "-b", out, "--use",
            "abort=abort_proc_exit", "--optimize"], work)
    return built("assemblyscript", build)


def rust():
    """Debian's rustc has a standard library for Wasm. Its cargo knows no sparse index, so a newer
    one, where there is one, fetches the locked crates."""
    def build(work, out):
        if not os.path.exists("/usr/lib/rustlib/wasm32-wasi"):
            raise Skip("Debian's libstd-rust-dev-wasm32 is not installed")
        vendor = os.path.join(work, "vendor")
        if not os.path.exists(vendor):
            call("crates", ["cargo", "vendor", "--locked", "vendor.new"], work)
            os.rename(vendor + ".new", vendor)
        compile_it("the Rust plugin", [
            "/usr/bin/cargo", "build", "--release", "--offline", "--locked", "--target",
            "wasm32-wasi", "--config", 'source.crates-io.replace-with="vendor"', "--config",
            'source.vendor.directory="%s"' % vendor], work,
            {"RUSTC": "/usr/bin/rustc", "CARGO_HOME": os.path.join(CACHE, "cargo")})
        shutil.copy(os.path.join(work, "target/wasm32-wasi/release/story.wasm"), out)
    return built("rust", build)


def go_modules(work):
    """An old Go, unlike one since 1.21, does not refuse a module for newer ones by itself."""
    call("go", ["sh", "-c", "go version | grep -q ' go1[.][2-9][0-9]' || { go version; exit 1; }"],
         work, GO_ENV)
    call("go modules", ["go", "mod", "download"], work, GO_ENV)


def go():
    """Reactors for Wasm need Go 1.24, as go.mod says."""
    def build(work, out):
        go_modules(work)
        compile_it("the Go plugin", ["go", "build", "-buildmode=c-shared", "-o", out, "."], work,
                   dict(GO_ENV, GOOS="wasip1", GOARCH="wasm"))
    return built("go", build)
