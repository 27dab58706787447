/* gRPC as a client of one bidirectional stream at a time, behind a plain face. Only grpc.c knows
 * gRPC C core; it stands in a library of its own (libremora-grpc.so), loaded at first use.
 *
 * All functions are called on one thread, main; gRPC's threads stay inside, and everything comes
 * back through the loop's mailbox. Source: gRPC C core 1.51; generic methods, raw messages. */
#ifndef XDS_GRPC_H
#define XDS_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

struct grpc_client;
struct grpc_stream;

struct grpc_metadatum {
    const char *key, *value; /* key in lower case */
};

struct grpc_client_options {
    struct loop *loop;     /* where callbacks run */
    const char *target;    /* "127.0.0.1:18000", "unix:/path" */
    const char *authority; /* NULL: by target */
    size_t message_max;    /* bytes, of one received message */
    bool has_keepalive;    /* HTTP/2 pings every 30 s */
    /* TLS with these authorities (PEM, NULL: plaintext), and this certificate of our own (both
     * NULL: none). server_name: SNI and what the certificate must be for, NULL: by target. */
    const char *ca, *cert, *key;
    const char *server_name;
};

struct grpc_stream_ops {
    /* bytes hold during the call. The next message is asked for when it returns. */
    void (*on_message)(void *arg, struct str bytes);
    /* The stream is over (also when it could not be started); status is a gRPC code. The stream
     * is freed after it returns. */
    void (*on_closed)(void *arg, int status, const char *text);
    void *arg;
};

/* A channel; connects at the first stream. */
int grpc_client_create(const struct grpc_client_options *o, struct grpc_client **c_r,
                       struct error *err);
/* Streams must be closed (no callback comes any more). Waits for gRPC's end. */
void grpc_client_destroy(struct grpc_client **c);
/* Whether the connection stands. */
bool grpc_client_is_ready(struct grpc_client *c);

/* method: "/package.Service/Method". Never calls back from inside. */
struct grpc_stream *grpc_stream_open(struct grpc_client *c, const char *method,
                                     const struct grpc_metadatum *metadata, size_t metadata_n,
                                     const struct grpc_stream_ops *ops);
/* Queues a message; order is kept. */
void grpc_stream_send(struct grpc_stream *s, struct str bytes);
/* Messages that wait for the server to read. */
size_t grpc_stream_queued(const struct grpc_stream *s);
/* Cancels; no callback follows and s is gone for the caller. */
void grpc_stream_close(struct grpc_stream **s);

#endif
