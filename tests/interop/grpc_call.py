#!/usr/bin/python3
"""grpc_call.py TARGET AUTHORITY TEXT...: one gRPC call for each text, on one channel, to
applications.py's Echo. Prints each answer, or the status code by name."""
import sys

import grpc

target, authority, *texts = sys.argv[1:]
with grpc.insecure_channel(target, [("grpc.default_authority", authority)]) as channel:
    say = channel.unary_unary("/remora.Echo/Say")
    for text in texts:
        try:
            print(say(text.encode(), timeout=10).decode(), flush=True)
        except grpc.RpcError as e:
            print(e.code().name, e.details(), flush=True)
