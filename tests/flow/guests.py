"""Wasm guests of the flow tests: C by clang, built once into the build folder."""
import hashlib
import os
import subprocess

from lib import BINARY, Skip

# LeakSanitizer's tracer crashes in a process that has V8 loaded; everything else is still checked.
if "ASAN_OPTIONS" in os.environ:
    os.environ["ASAN_OPTIONS"] += ":detect_leaks=0"

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(os.path.dirname(os.path.abspath(BINARY)), "guests")
WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"
NET_WASM = "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm"


def guest(name, **defines):
    """Path of guests/NAME.c compiled; defines go to the preprocessor as strings."""
    os.makedirs(OUT, exist_ok=True)
    source = os.path.join(HERE, "guests", name + ".c")
    flags = ["-D%s=\"%s\"" % d for d in sorted(defines.items())]
    with open(source, "rb") as f:
        key = hashlib.sha256(f.read() + repr(flags).encode()).hexdigest()[:12]
    path = os.path.join(OUT, "%s-%s.wasm" % (os.path.basename(name), key))
    if not os.path.exists(path):
        try:
            subprocess.run(["clang-14", "--target=wasm32-wasi", "-O2", "-mexec-model=reactor",
                            "-Wl,--strip-all", "-Wno-unused-parameter", *flags, source, "-o",
                            path + ".tmp"], check=True)
        except FileNotFoundError as e:
            raise Skip("clang-14 is not installed") from e
        os.rename(path + ".tmp", path)
    return path


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def plugin(code, name="p", configuration=None, policy=None, network=False, **vm):
    """A Wasm filter's typed_config. code: path of a module, or an AsyncDataSource."""
    if isinstance(code, str):
        code = {"local": {"filename": code}}
    config = {"name": name, "root_id": "", "vm_config": dict(
        {"runtime": "envoy.wasm.runtime.v8", "code": code}, **vm)}
    if configuration is not None:
        config["configuration"] = {"@type": "type.googleapis.com/google.protobuf.StringValue",
                                   "value": configuration}
    if policy:
        config["failure_policy"] = policy
    return {"@type": NET_WASM if network else WASM, "config": config}
