/* Responses of a management server, through the transport up to the receiver. The first byte:
 * variant, what the receiver answers, how many times the message comes. Held to: an update names
 * only what was asked for, each name once; each response is answered once at most. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "xds/ads.h"
#include "xds/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct grpc_stream {
    struct grpc_stream_ops ops;
};

static struct grpc_stream the_stream;
static bool is_open;
static struct loop *loop;
static struct ads *ads;
static bool is_refusing;
static size_t sent, updates;

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* ---- gRPC, replaced ---- */

int grpc_client_create(const struct grpc_client_options *o, struct grpc_client **c_r,
                       struct error *err)
{
    (void)o;
    (void)err;
    *c_r = (struct grpc_client *)&the_stream;
    return 0;
}

void grpc_client_destroy(struct grpc_client **c)
{
    *c = NULL;
}

bool grpc_client_is_ready(struct grpc_client *c)
{
    return c != NULL;
}

struct grpc_stream *grpc_stream_open(struct grpc_client *c, const char *method,
                                     const struct grpc_metadatum *metadata, size_t metadata_n,
                                     const struct grpc_stream_ops *ops)
{
    (void)c;
    (void)metadata;
    check(method[0] == '/' && !metadata_n);
    the_stream.ops = *ops;
    is_open = true;
    return &the_stream;
}

void grpc_stream_send(struct grpc_stream *s, struct str bytes)
{
    check(s == &the_stream && is_open && bytes.n > 0);
    sent++;
}

size_t grpc_stream_queued(const struct grpc_stream *s)
{
    return s != &the_stream;
}

void grpc_stream_close(struct grpc_stream **s)
{
    is_open = false;
    *s = NULL;
}

/* ---- the receiver ---- */

static void on_update(void *arg, const struct xds_update *u)
{
    struct hash seen = {0};
    (void)arg;
    updates++;
    for (size_t i = 0; i < u->resources_n; i++) {
        const struct xds_resource *r = &u->resources[i];
        check(r->name[0] && !hash_set(&seen, str_of(r->name), &seen));
        check(u->type == XDS_CDS || (u->type == XDS_ECDS && !strcmp(r->name, "x")));
        if (!is_refusing)
            ads_set_held(ads, u->type, r->name, r->version);
    }
    for (size_t i = 0; i < u->heartbeats_n; i++)
        check(u->heartbeats[i].name[0] && !u->heartbeats[i].value.n &&
              !hash_set(&seen, str_of(u->heartbeats[i].name), &seen));
    hash_fini(&seen);
    ads_answer(ads, u->ticket, is_refusing ? "x: validate: no" : NULL);
    ads_answer(ads, u->ticket, NULL);
}

static void on_connected(void *arg, unsigned source, bool is_connected, const char *text)
{
    (void)arg;
    (void)source;
    check(is_connected || text[0]);
}

static void on_stop(struct loop_timer *t)
{
    loop_stop(t->loop);
}

static void turn(void)
{
    struct loop_timer stop;
    loop_timer_init(&stop, loop, on_stop);
    loop_timer_start(&stop, 0);
    loop_run(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct xds_target target = {.address = "unix:none"};
    const struct xds_server server = {.api = XDS_API_GRPC,
                                      .is_delta = data[0] & 1,
                                      .is_aggregated = true,
                                      .targets = &target,
                                      .targets_n = 1};
    struct ads_options o = {.server = &server};
    struct ads_ops ops = {on_update, on_connected, NULL, NULL};
    struct error err;
    log_set_all(LEVEL_OFF);
    is_refusing = data[0] & 2;
    sent = updates = 0;
    check(loop_create(&loop, &err) == 0 && ads_create(loop, &o, &ops, &ads, &err) == 0);
    ads_want_all(ads, XDS_CDS);
    ads_want(ads, XDS_ECDS, "x");
    turn();
    turn();
    check(is_open && sent == 2);
    size_t messages = 0;
    for (; messages <= (data[0] >> 2 & 3) && is_open; messages++)
        the_stream.ops.on_message(the_stream.ops.arg,
                                  (struct str){(const char *)data + 1, size - 1});
    check(updates <= messages && sent <= 2 + messages);
    ads_destroy(&ads);
    loop_destroy(&loop);
    return 0;
}
