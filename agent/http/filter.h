/* HTTP filters: const ops and a tiny per-stream entry. Three objects, three lifetimes:
 * configuration (struct conf_http_filter, main, shared), per worker (worker_init), per stream
 * (struct http_filter). The chain iterates; a filter never calls the next one.
 *
 * Requests run through the filters first to last, responses last to first; the last filter is the
 * router, which consumes requests and produces responses. [worker]
 *
 * A filter that paused resumes with filter_continue_request / filter_continue_response, at any
 * later time, also from outside the chain; inside its own callback that is deferred by the chain.
 * Source: Envoy's StreamFilter contracts; proxy-wasm FilterHeadersStatus and FilterDataStatus. */
#ifndef HTTP_FILTER_H
#define HTTP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/listener.h"
#include "http/headers.h"

struct stream;
struct http_filter;
struct loop;

enum filter_status {
    FILTER_CONTINUE,
    /* Headers and everything behind them wait before the next filter; body and trailers are not
     * shown to this filter until it continues (then they are). Back-pressure applies. */
    FILTER_PAUSE,
    /* From the headers callback: headers wait, but body and trailers are shown to this filter;
     * FILTER_CONTINUE from one of those lets the headers go first. */
    FILTER_PAUSE_HEADERS,
    /* From the body callback: keep what was shown; the next call shows it all again with what
     * came. Over the buffer limit: 413 (request) or 500 (response). */
    FILTER_PAUSE_BUFFER,
    /* The same, but over the limit the sender is held back instead. */
    FILTER_PAUSE_WATERMARK,
    /* The chunk is dropped (the filter kept what it wanted); nothing goes on. */
    FILTER_PAUSE_DISCARD,
    /* The filter answered by stream_local_reply or reset the stream: nothing goes on. */
    FILTER_REPLIED,
};

/* What filters may use of their worker; built by server/worker, reached by pointer only. */
struct filter_env {
    struct loop *loop;
    struct upstreams *upstreams; /* upstream/upstream.h */
    struct pwasm_worker *wasm;   /* wasm/plugin.h */
    unsigned worker_index;
    struct access_log_writer *logs; /* filters/access_log.h */
    struct snapshot_hold *current;  /* the worker's snapshot; http/hold.h */
};

struct http_filter_ops {
    const char *name;
    /* Called once per worker and use in a listener; obj_r reaches the stream's filter as
     * f->worker_obj. May be NULL. */
    void (*worker_init)(const struct conf_http_filter *conf, struct filter_env *env, void **obj_r);
    void (*worker_fini)(void *obj);
    /* Called at the stream's first use of the chain; false skips this filter for the stream. */
    bool (*stream_init)(struct http_filter *f);
    void (*stream_fini)(struct http_filter *f);
    /* NULL members continue. `end`: nothing follows. Filters may change headers and data in
     * place; `data` holds what is shown and goes on as it stands afterwards. */
    enum filter_status (*req_headers)(struct http_filter *f, struct headers *h, bool end);
    enum filter_status (*req_body)(struct http_filter *f, struct buf *data, bool end);
    enum filter_status (*req_trailers)(struct http_filter *f, struct headers *h);
    enum filter_status (*resp_headers)(struct http_filter *f, struct headers *h, bool end);
    enum filter_status (*resp_body)(struct http_filter *f, struct buf *data, bool end);
    enum filter_status (*resp_trailers)(struct http_filter *f, struct headers *h);
    /* The stream is complete or was reset; access log time. Before stream_fini. */
    void (*on_complete)(struct http_filter *f);
    /* Router only: the sender of the response shall pause or go on. */
    void (*resp_read_disable)(struct http_filter *f, bool disable);
};

/* One direction of one filter in one stream; private to http/filter_chain.c. */
struct filter_side {
    struct buf held; /* body kept before or in this filter */
    uint8_t headers_state, body_state;
    bool headers_end, end_held, trailers_held, in_callback, continue_pending, is_high;
};

struct http_filter {
    const struct http_filter_ops *ops;
    const struct conf_http_filter *conf;
    void *worker_obj;
    struct stream *stream;
    void *state; /* the filter's own, per stream */
    uint16_t index;
    bool is_skipped;
    struct filter_side side[2];
};

void filter_continue_request(struct http_filter *f);
void filter_continue_response(struct http_filter *f);

#endif
