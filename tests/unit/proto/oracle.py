"""Compares our proto3 JSON with python3-protobuf's on generated messages of every root type.

usage: oracle.py CONVERT PROTO_DIR
"""
import base64
import json
import os
import random
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as F

SEED, ROUNDS, DEPTH = 20240131, 12, 6


def load_pool(proto_dir):
    files = []
    for folder, _, names in os.walk(proto_dir):
        files += [os.path.relpath(os.path.join(folder, n), proto_dir)
                  for n in names if n.endswith(".proto")]
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "set")
        subprocess.run(["protoc", f"-I{proto_dir}", "--include_imports",
                        f"--descriptor_set_out={out}", *sorted(files)], check=True)
        with open(out, "rb") as f:
            descriptors = descriptor_pb2.FileDescriptorSet.FromString(f.read())
    pool = descriptor_pool.DescriptorPool()
    for f in descriptors.file:
        pool.Add(f)
    return pool, descriptors


class Generator:
    def __init__(self, pool, rng):
        self.rng = rng
        self.factory = message_factory.MessageFactory(pool)
        self.any_types = [pool.FindMessageTypeByName(n) for n in (
            "envoy.config.core.v3.Node", "google.protobuf.Duration", "google.protobuf.Struct",
            "envoy.extensions.filters.http.router.v3.Router")]

    def message(self, desc, depth=0):
        msg = self.factory.GetPrototype(desc)()
        special = getattr(self, "fill_" + desc.full_name.replace(".", "_"), None)
        if special:
            special(msg, depth)
            return msg
        for group in desc.oneofs:
            self.field(msg, self.rng.choice(group.fields), depth)
        for field in desc.fields:
            if not field.containing_oneof and self.rng.random() < 0.5:
                self.field(msg, field, depth)
        return msg

    def fill_google_protobuf_Any(self, msg, depth):
        inner = self.message(self.rng.choice(self.any_types), depth + 1)
        msg.type_url = "type.googleapis.com/" + inner.DESCRIPTOR.full_name
        msg.value = inner.SerializeToString(deterministic=True)

    def fill_google_protobuf_Duration(self, msg, depth):
        msg.seconds = self.rng.choice([0, 1, 300, 315576000000])
        msg.nanos = self.rng.choice([0, 1, 1000, 500000000, 999999999])

    def fill_google_protobuf_Timestamp(self, msg, depth):
        msg.seconds = self.rng.choice([0, 1, 1700000000, -5])
        msg.nanos = self.rng.choice([0, 1000, 500000000])

    def fill_google_protobuf_FieldMask(self, msg, depth):
        msg.paths.extend(["a", "foo_bar.baz"])

    def fill_google_protobuf_Value(self, msg, depth):
        kind = self.rng.choice(["null", "number", "string", "bool"] +
                               (["list", "struct"] if depth < DEPTH else []))
        if kind == "null":
            msg.null_value = 0
        elif kind == "number":
            msg.number_value = self.rng.choice([0, 1.5, -7, 1e30])
        elif kind == "string":
            msg.string_value = self.string()
        elif kind == "bool":
            msg.bool_value = self.rng.random() < 0.5
        elif kind == "list":
            for _ in range(2):
                self.fill_google_protobuf_Value(msg.list_value.values.add(), depth + 1)
        else:
            self.fill_google_protobuf_Value(msg.struct_value.fields[self.string()], depth + 1)

    def string(self):
        return self.rng.choice(["x", "näme", "a\"b\\c\n", "日本", "0"])

    def scalar(self, field):
        r = self.rng
        if field.type == F.TYPE_ENUM:
            return r.choice(field.enum_type.values).number
        return {
            F.TYPE_STRING: lambda: self.string(),
            F.TYPE_BYTES: lambda: r.randbytes(r.randrange(6)),
            F.TYPE_BOOL: lambda: r.random() < 0.5,
            F.TYPE_FLOAT: lambda: r.choice([0.0, 0.5, 0.1, -3.25, 1e20]),
            F.TYPE_DOUBLE: lambda: r.choice([0.0, 0.5, 0.1, 1e-7, 1e100, 3.0]),
            F.TYPE_INT32: lambda: r.choice([0, -1, 2**31 - 1, -2**31]),
            F.TYPE_SINT32: lambda: r.choice([0, -1, 2**31 - 1, -2**31]),
            F.TYPE_INT64: lambda: r.choice([0, -1, 2**63 - 1, -2**63]),
            F.TYPE_UINT32: lambda: r.choice([0, 1, 2**32 - 1]),
            F.TYPE_UINT64: lambda: r.choice([0, 1, 2**64 - 1]),
        }[field.type]()

    def field(self, msg, field, depth):
        entry = field.message_type
        if entry and entry.GetOptions().map_entry:
            key = self.scalar(entry.fields[0])
            value = entry.fields[1]
            if value.message_type is None:
                getattr(msg, field.name)[key] = self.scalar(value)
            elif depth < DEPTH:
                getattr(msg, field.name)[key].CopyFrom(self.message(value.message_type, depth + 1))
        elif field.label == F.LABEL_REPEATED:
            for _ in range(self.rng.randrange(3)):
                if entry is None:
                    getattr(msg, field.name).append(self.scalar(field))
                elif depth < DEPTH:
                    getattr(msg, field.name).add().CopyFrom(self.message(entry, depth + 1))
        elif entry is None:
            setattr(msg, field.name, self.scalar(field))
        elif depth < DEPTH:
            getattr(msg, field.name).CopyFrom(self.message(entry, depth + 1))


class Converter:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, encoding="utf-8")

    def ask(self, kind, name, text):
        self.process.stdin.write(f"{kind} {name} {text}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        if answer.startswith("!"):
            sys.exit(f"{name}: {answer[2:]}\n{text[:2000]}")
        return answer


def normal(value):
    """Numbers compare as numbers: 1.0 and 1 are one value in JSON."""
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items()}
    if isinstance(value, list):
        return [normal(v) for v in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(f"{value:.6g}")
    return value


def compare(convert, pool, msg):
    name = msg.DESCRIPTOR.full_name
    theirs = json_format.MessageToDict(msg, preserving_proto_field_name=True,
                                       descriptor_pool=pool)
    wire = base64.b64encode(msg.SerializeToString()).decode()
    ours = json.loads(convert.ask("b", name, wire))
    if normal(ours) != normal(theirs):
        sys.exit(f"{name}: JSON differs\nours   {normal(ours)}\ntheirs {normal(theirs)}")
    for snake in (True, False):
        text = json_format.MessageToJson(msg, preserving_proto_field_name=snake, indent=None,
                                         descriptor_pool=pool)
        back = type(msg).FromString(base64.b64decode(convert.ask("j", name, text)))
        again = json_format.MessageToDict(back, preserving_proto_field_name=True,
                                          descriptor_pool=pool)
        if normal(again) != normal(theirs):
            sys.exit(f"{name}: message differs\nback   {again}\ntheirs {theirs}")


def main():
    pool, descriptors = load_pool(sys.argv[2])
    generator = Generator(pool, random.Random(SEED))
    convert = Converter(sys.argv[1])
    count = 0
    for f in descriptors.file:
        for m in f.message_type:
            desc = pool.FindMessageTypeByName(f"{f.package}.{m.name}")
            for _ in range(ROUNDS):
                compare(convert, pool, generator.message(desc))
                count += 1
    convert.process.stdin.close()
    if convert.process.wait() or count < 1000:
        sys.exit("too few messages compared or the converter failed")
    print(f"{count} messages agree")


if __name__ == "__main__":
    main()
