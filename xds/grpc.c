/* gRPC C core behind grpc.h. One thread waits on the completion queue; each completed operation
 * is posted to the loop, and every call into gRPC is made from there, so operations of a call are
 * never started by two threads at once. An operation's tag is embedded in the stream: at most one
 * of each kind is outstanding. */
#include "xds/grpc_face.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

enum op_kind { OP_INITIAL, OP_RECV, OP_SEND, OP_STATUS, OP_KINDS };

struct op_tag {
    struct loop_msg msg;
    struct grpc_stream *stream;
    enum op_kind kind;
    bool is_ok;
};

struct outgoing {
    struct list node;
    grpc_byte_buffer *bytes;
};

struct grpc_stream {
    struct loop *loop;
    struct grpc_stream_ops ops;
    grpc_call *call;
    struct op_tag tags[OP_KINDS];
    unsigned pending; /* operations outstanding */
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice details;
    const char *error_string;
    struct list queue; /* outgoing, behind the one being sent */
    size_t queued;
    bool is_sending, is_over, is_abandoned;
};

struct grpc_client {
    struct loop *loop;
    grpc_channel *channel;
};

/* Shared by all clients. [main] */
static struct {
    unsigned clients;
    grpc_completion_queue *cq;
    pthread_t thread;
} core;

static void (*post)(struct loop *loop, struct loop_msg *m);

/* ---- the thread ---- */

static void *run_queue(void *arg)
{
    grpc_completion_queue *cq = arg;
    pthread_setname_np(pthread_self(), "xds_grpc");
    for (;;) {
        grpc_event e = grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        struct op_tag *tag = e.tag;
        tag->is_ok = e.success;
        post(tag->stream->loop, &tag->msg);
    }
}

/* ---- operations ---- */

static bool start(struct grpc_stream *s, enum op_kind kind, grpc_op *op)
{
    if (grpc_call_start_batch(s->call, op, 1, &s->tags[kind], NULL) != GRPC_CALL_OK)
        return false;
    s->pending++;
    return true;
}

static void start_recv(struct grpc_stream *s)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &s->received;
    start(s, OP_RECV, &op);
}

static void send_next(struct grpc_stream *s)
{
    if (s->is_sending || s->is_over || s->is_abandoned || list_is_empty(&s->queue))
        return;
    struct outgoing *o = container_of(s->queue.next, struct outgoing, node);
    list_del(&o->node);
    s->queued--;
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = o->bytes;
    s->is_sending = start(s, OP_SEND, &op);
    grpc_byte_buffer_destroy(o->bytes);
    mem_free(o);
}

static void free_stream(struct grpc_stream *s)
{
    list_for_each_safe (it, tmp, &s->queue) {
        struct outgoing *o = container_of(it, struct outgoing, node);
        grpc_byte_buffer_destroy(o->bytes);
        mem_free(o);
    }
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->details);
    gpr_free((void *)s->error_string);
    if (s->received)
        grpc_byte_buffer_destroy(s->received);
    grpc_call_unref(s->call);
    mem_free(s);
}

static void tell_message(struct grpc_stream *s)
{
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, s->received))
        return;
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    s->ops.on_message(
        s->ops.arg, (struct str){(const char *)GRPC_SLICE_START_PTR(all), GRPC_SLICE_LENGTH(all)});
    grpc_slice_unref(all);
}

static void on_recv(struct grpc_stream *s, bool is_ok)
{
    if (!is_ok || !s->received)
        return; /* end of stream: the status follows */
    if (!s->is_abandoned)
        tell_message(s);
    grpc_byte_buffer_destroy(s->received);
    s->received = NULL;
    if (!s->is_abandoned)
        start_recv(s);
}

static void tell_closed(struct grpc_stream *s)
{
    char *text = grpc_slice_to_c_string(s->details);
    s->ops.on_closed(s->ops.arg, (int)s->status, text);
    gpr_free(text);
}

static void on_complete(struct loop_msg *m)
{
    struct op_tag *tag = container_of(m, struct op_tag, msg);
    struct grpc_stream *s = tag->stream;
    s->pending--;
    switch (tag->kind) {
    case OP_RECV:
        on_recv(s, tag->is_ok);
        break;
    case OP_SEND:
        s->is_sending = false;
        if (tag->is_ok)
            send_next(s);
        break;
    case OP_STATUS:
        s->is_over = true;
        break;
    default:
        break;
    }
    if (s->pending || !s->is_over)
        return;
    if (!s->is_abandoned)
        tell_closed(s);
    free_stream(s);
}

/* ---- streams ---- */

static void start_initial(struct grpc_stream *s, const struct grpc_metadatum *metadata, size_t n)
{
    grpc_metadata *md = mem_zalloc((n + 1) * sizeof(*md));
    for (size_t i = 0; i < n; i++) {
        md[i].key = grpc_slice_from_copied_string(metadata[i].key);
        md[i].value = grpc_slice_from_copied_string(metadata[i].value);
    }
    grpc_op ops[2];
    memset(ops, 0, sizeof(ops));
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.count = n;
    ops[0].data.send_initial_metadata.metadata = md;
    ops[1].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[1].data.recv_initial_metadata.recv_initial_metadata = &s->initial;
    if (grpc_call_start_batch(s->call, ops, 2, &s->tags[OP_INITIAL], NULL) == GRPC_CALL_OK)
        s->pending++;
    else
        grpc_call_cancel(s->call, NULL); /* bad metadata: the status says so */
    for (size_t i = 0; i < n; i++) {
        grpc_slice_unref(md[i].key);
        grpc_slice_unref(md[i].value);
    }
    mem_free(md);
}

static struct grpc_stream *stream_open(struct grpc_client *c, const char *method,
                                       const struct grpc_metadatum *metadata, size_t metadata_n,
                                       const struct grpc_stream_ops *ops)
{
    struct grpc_stream *s = MEM_NEW(struct grpc_stream);
    s->loop = c->loop;
    s->ops = *ops;
    s->details = grpc_empty_slice();
    list_init(&s->queue);
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    for (int k = 0; k < OP_KINDS; k++)
        s->tags[k] = (struct op_tag){.msg.run = on_complete, .stream = s, .kind = k};
    grpc_slice path = grpc_slice_from_copied_string(method);
    s->call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, core.cq, path,
                                       NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_slice_unref(path);
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &s->trailing;
    op.data.recv_status_on_client.status = &s->status;
    op.data.recv_status_on_client.status_details = &s->details;
    op.data.recv_status_on_client.error_string = &s->error_string;
    start(s, OP_STATUS, &op);
    start_initial(s, metadata, metadata_n);
    start_recv(s);
    return s;
}

static void stream_send(struct grpc_stream *s, struct str bytes)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes.p, bytes.n);
    struct outgoing *o = MEM_NEW(struct outgoing);
    o->bytes = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    list_add_tail(&s->queue, &o->node);
    s->queued++;
    send_next(s);
}

static size_t stream_queued(const struct grpc_stream *s)
{
    return s->queued;
}

static void stream_close(struct grpc_stream **s)
{
    (*s)->is_abandoned = true;
    grpc_call_cancel((*s)->call, NULL);
    *s = NULL; /* freed when the last operation has come back */
}

/* ---- client ---- */

static grpc_arg int_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static grpc_arg text_arg(const char *key, const char *value)
{
    return (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value};
}

static grpc_channel_credentials *create_credentials(const struct grpc_client_options *o)
{
    grpc_ssl_pem_key_cert_pair pair = {o->key, o->cert};
    return o->ca ? grpc_ssl_credentials_create(o->ca, o->key ? &pair : NULL, NULL, NULL)
                 : grpc_insecure_credentials_create();
}

static grpc_channel *create_channel(const struct grpc_client_options *o)
{
    grpc_arg args[16];
    size_t n = 0;
    args[n++] = int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                        o->message_max > INT_MAX ? INT_MAX : (int)o->message_max);
    args[n++] = int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
    args[n++] = int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    args[n++] = int_arg(GRPC_ARG_ENABLE_RETRIES, 0);
    args[n++] = int_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    args[n++] = int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    /* The stream's own backoff decides when to try again; the channel's must not add to it. The
     * "minimum" is how long one attempt to connect may take. */
    args[n++] = int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
    args[n++] = int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20000);
    args[n++] = int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    args[n++] = int_arg("grpc.client_idle_timeout_ms", INT_MAX);
    args[n++] = int_arg(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
    if (o->has_keepalive) {
        args[n++] = int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 30000);
        args[n++] = int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
        args[n++] = int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    }
    if (o->authority)
        args[n++] = text_arg(GRPC_ARG_DEFAULT_AUTHORITY, o->authority);
    if (o->ca && o->server_name)
        args[n++] = text_arg(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, o->server_name);
    grpc_channel_args all = {n, args};
    grpc_channel_credentials *credentials = create_credentials(o);
    grpc_channel *channel = grpc_channel_create(o->target, credentials, &all);
    grpc_channel_credentials_release(credentials);
    return channel;
}

static int enter_core(struct error *err)
{
    if (core.clients++)
        return 0;
    grpc_init();
    core.cq = grpc_completion_queue_create_for_next(NULL);
    if (!pthread_create(&core.thread, NULL, run_queue, core.cq))
        return 0;
    core.clients = 0;
    return error_set(err, ERR_IO, "cannot start the gRPC thread");
}

static void leave_core(void)
{
    if (--core.clients)
        return;
    grpc_completion_queue_shutdown(core.cq);
    pthread_join(core.thread, NULL);
    grpc_completion_queue_destroy(core.cq);
    /* No grpc_shutdown: it is asynchronous, and the process is about to end. */
}

static int client_create(const struct grpc_client_options *o, struct grpc_client **c_r,
                         struct error *err)
{
    if (enter_core(err))
        return -ERR_IO;
    struct grpc_client *c = MEM_NEW(struct grpc_client);
    c->loop = o->loop;
    c->channel = create_channel(o);
    *c_r = c;
    return 0;
}

static void client_destroy(struct grpc_client **client)
{
    struct grpc_client *c = *client;
    grpc_channel_destroy(c->channel);
    mem_free(c);
    leave_core();
    *client = NULL;
}

static bool client_is_ready(struct grpc_client *c)
{
    return grpc_channel_check_connectivity_state(c->channel, 0) == GRPC_CHANNEL_READY;
}

__attribute__((visibility("default"))) extern const struct grpc_face remora_grpc_face;

const struct grpc_face remora_grpc_face = {
    sizeof(struct grpc_face),
    &post,
    client_create,
    client_destroy,
    client_is_ready,
    stream_open,
    stream_send,
    stream_queued,
    stream_close,
};
