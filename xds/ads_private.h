/* What ads.c (stream, queue, subscriptions), answer.c (tickets) and the two protocols, sotw.c and
 * delta.c, share. [main]
 *
 * A response goes: grpc -> ads_receive -> decode -> ticket -> list -> on_update; its ticket waits
 * for the receiver, and goes back: ads_answer -> (a pause, when the same was refused before) ->
 * answer -> grpc. What is wanted and late NACKs go out together at the end of a loop turn. */
#ifndef XDS_ADS_PRIVATE_H
#define XDS_ADS_PRIVATE_H

#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "base/stat.h"
#include "net/loop.h"
#include "proto/pb.h"
#include "xds/ads.h"
#include "xds/grpc.h"
#include "xds/subs.h"

enum {
    ADS_MESSAGE_MAX = 64 * 1024 * 1024,
    ADS_TICKETS_MAX = 256,      /* unanswered responses of one type */
    ADS_QUEUE_MAX = 1024,       /* requests that the server does not read */
    ADS_DETAIL_MAX = 16 * 1024, /* bytes of an error_detail */
    ADS_TOKEN_MAX = 16 * 1024,  /* bytes of a nonce or version */
    ADS_ERROR_CODE = 13,        /* google.rpc.Code.INTERNAL, as Envoy */
    ADS_REPEAT_MIN_MS = 500,    /* before the same NACK is sent again, doubling */
    ADS_REPEAT_MAX_MS = 5000,
    ADS_BACKOFF_BASE_MS = 500,
    ADS_BACKOFF_MAX_MS = 30000,
    ADS_SILENT_MS = 1000, /* a server with nothing new to say counts as connected after this */
};

/* A response that has not been answered. */
struct ticket {
    struct list node;
    struct ads_type *type;
    uint64_t id, stream; /* number of the stream that brought it */
    uint64_t hash;       /* of its resources */
    char *nonce, *version;
    char *detail; /* the NACK that waits for `timer`; NULL: the receiver has not answered */
    struct loop_timer timer;
};

struct ads_type {
    struct ads *ads;
    enum xds_type type;
    struct subs subs;
    struct list tickets; /* oldest first */
    char *version;       /* last accepted (SotW), "" before */
    uint64_t version_id; /* ticket that brought it */
    bool is_nacked;      /* the last answer was a NACK, of these bytes: */
    uint64_t nacked_hash;
    unsigned repeats;
    /* Of this stream: */
    bool is_requested;
    char *nonce; /* newest; NULL: nothing was delivered */
    uint64_t hash;
    struct sbuf late; /* late NACK to be sent */
};

/* A received message, in the arena. */
struct ads_response {
    ProtobufCMessage *msg;
    const char *type_url, *nonce, *version;
    bool is_empty;
    struct xds_update update;
    uint64_t hash;
};

struct ads_protocol {
    int (*decode)(struct ads *a, struct str bytes, struct ads_response *r, struct error *err);
    /* Fills update and hash. Fails when the response cannot be handed on as a whole; the text is
     * the NACK's. */
    int (*list)(struct ads *a, struct ads_type *t, struct ads_response *r, struct error *err);
    /* The type's first request on this stream, or a change of what is wanted. */
    void (*subscribe)(struct ads *a, struct ads_type *t);
    /* detail NULL: ACK. */
    void (*answer)(struct ads *a, struct ads_type *t, const char *nonce, const char *version,
                   const char *detail);
};
extern const struct ads_protocol sotw_protocol, delta_protocol;

struct ads {
    struct loop *loop;
    struct ads_ops ops;
    const struct ads_protocol *protocol;
    const struct xds_server *server;
    enum xds_type only; /* of a server that is not aggregated */
    unsigned source;
    size_t target; /* the one in use */
    bool is_delta, node_on_first_only;
    struct pb_arena node_arena, arena; /* arena: of the response being worked on */
    Envoy__Config__Core__V3__Node *node;

    struct grpc_client *client; /* NULL: to be made with the next stream */
    struct grpc_stream *stream; /* NULL while disconnected */
    uint64_t stream_id, opened_us;
    bool is_connected, is_node_sent, has_received;
    unsigned failures; /* streams in a row that brought no message */
    struct loop_timer retry_timer, silent_timer, flush_timer;

    struct ads_type types[XDS_TYPE_COUNT];
    struct ads_type *order[XDS_TYPE_COUNT]; /* by first subscription */
    size_t order_n;
    uint64_t next_ticket;
    stat_id pending;
};

/* ---- ads.c ---- */
void ads_send(struct ads *a, const ProtobufCMessage *msg);
/* control_plane.pending_requests */
void ads_count_queued(struct ads *a);
/* The node, or NULL when this message goes without. */
Envoy__Config__Core__V3__Node *ads_take_node(struct ads *a);
/* Late NACKs and subscription changes, at the end of this turn. */
void ads_flush_later(struct ads *a);
/* Ends the stream because of what the server did; another one follows after the backoff. */
void ads_fail(struct ads *a, const char *text);

void ads_on_message(void *arg, struct str bytes);
void ads_on_closed(void *arg, int status, const char *text);

/* ---- ads_client.c ---- */
/* Opens the stream at the host whose turn it is. */
int ads_connect(struct ads *a, struct error *err);
/* After a stream ended. has_worked: it brought something. */
void ads_disconnect(struct ads *a, bool has_worked);

/* ---- answer.c ---- */
struct ticket *ticket_open(struct ads *a, struct ads_type *t, const struct ads_response *r);
void ticket_answer(struct ads *a, struct ticket *k, const char *detail);
/* An answer without error_detail that accepts nothing (SotW, nobody wants the type). */
void ticket_refuse_silently(struct ads *a, struct ticket *k);
/* Whether a response of this stream waits for its answer. */
bool ticket_is_waiting(const struct ads *a, const struct ads_type *t);
void ticket_send_late(struct ads *a, struct ads_type *t);
/* The stream is gone: NACKs that waited for it are dropped, what the receiver still works on
 * stays. */
/* Goes without an answer. */
void ticket_drop(struct ticket *k);
void ticket_end_stream(struct ads_type *t);
void ticket_drop_all(struct ads_type *t);

/* ---- response.c ---- */
void ads_receive(struct ads *a, struct str bytes);
/* Adds a resource to the update being listed. Refuses empty and repeated names; leaves out what
 * nobody wants. */
struct ads_lister {
    struct ads *ads;
    struct ads_type *type;
    struct hash seen;
    struct xds_resource *resources, *heartbeats; /* in the arena, room for all */
    size_t n, heartbeats_n;
    uint64_t hash;
};
int ads_lister_init(struct ads_lister *l, struct ads *a, struct ads_type *t, size_t max,
                    struct error *err);
int ads_lister_note_name(struct ads_lister *l, struct str name, struct error *err);
int ads_lister_add(struct ads_lister *l, const char *name, const char *version, struct str value,
                   struct error *err);
/* A wrapped one, with its time to live. Without a resource inside it is a heartbeat. */
int ads_lister_add_wrapped(struct ads_lister *l, const Envoy__Service__Discovery__V3__Resource *r,
                           const char *name, const char *version, struct error *err);
void ads_lister_finish(struct ads_lister *l, struct ads_response *r);

#endif
