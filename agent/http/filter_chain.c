/* The filter chain. Each filter has a side per direction with two small states:
 *
 *   headers_state  NONE -> PASSED                      the filter continued
 *                       -> WAIT_ALL -> PASSED          nothing after the headers is shown to it
 *                       -> WAIT_HEADERS -> PASSED      body and trailers are shown, headers wait
 *   held           bytes kept before the filter (WAIT_ALL) or in it (it paused on a body)
 *
 * Every callback may end the stream or start a local reply, so each loop looks at s->epoch, which
 * those bump, before it goes on. */
#include "http/filter_chain.h"

#include "http/hcm.h"
#include "http/route_resolve.h"

enum headers_state { H_NONE, H_WAIT_ALL, H_WAIT_HEADERS, H_PASSED };
enum body_state { B_FLOWING, B_HELD };

typedef enum filter_status (*headers_fn)(struct http_filter *, struct headers *, bool);
typedef enum filter_status (*body_fn)(struct http_filter *, struct buf *, bool);
typedef enum filter_status (*trailers_fn)(struct http_filter *, struct headers *);

static headers_fn headers_of(const struct http_filter *f, enum filter_dir dir)
{
    return dir == DIR_REQ ? f->ops->req_headers : f->ops->resp_headers;
}

static body_fn body_of(const struct http_filter *f, enum filter_dir dir)
{
    return dir == DIR_REQ ? f->ops->req_body : f->ops->resp_body;
}

static trailers_fn trailers_of(const struct http_filter *f, enum filter_dir dir)
{
    return dir == DIR_REQ ? f->ops->req_trailers : f->ops->resp_trailers;
}

static int first(const struct stream *s, enum filter_dir dir)
{
    return dir == DIR_REQ ? 0 : (int)s->filters_n - 1;
}

static int step(enum filter_dir dir)
{
    return dir == DIR_REQ ? 1 : -1;
}

static struct http_filter *at(struct stream *s, int i)
{
    return i >= 0 && i < (int)s->filters_n ? &s->filters[i] : NULL;
}

void filter_chain_init(struct stream *s)
{
    size_t n = s->hcm->conf->filters_n;
    const struct conf_route_config *rc = route_config_of(s);
    struct route_choice choice = {0};
    if (rc && rc->has_overrides)
        route_resolve(s, &s->req, &rc, &choice);
    s->filters_n = (uint16_t)n;
    s->filters = arena_zalloc(&s->arena, n * sizeof(*s->filters));
    for (size_t i = 0; i < n; i++) {
        struct http_filter *f = &s->filters[i];
        f->ops = s->hcm->ops[i];
        f->conf = &s->hcm->conf->filters[i];
        f->worker_obj = s->hcm->worker_objs[i];
        f->stream = s;
        f->index = (uint16_t)i;
        f->is_skipped = route_skips_filter(rc, &choice, f->conf) ||
                        (f->ops->stream_init && !f->ops->stream_init(f));
    }
}

void filter_chain_fini(struct stream *s)
{
    for (int i = 0; i < (int)s->filters_n; i++) {
        struct http_filter *f = &s->filters[i];
        if (!f->is_skipped && f->ops->on_complete)
            f->ops->on_complete(f);
    }
    for (int i = 0; i < (int)s->filters_n; i++) {
        struct http_filter *f = &s->filters[i];
        if (!f->is_skipped && f->ops->stream_fini)
            f->ops->stream_fini(f);
        buf_fini(&f->side[DIR_REQ].held);
        buf_fini(&f->side[DIR_RESP].held);
    }
}

static bool is_pause(enum filter_status st)
{
    return st != FILTER_CONTINUE && st != FILTER_REPLIED;
}

/* A continue that came from inside the callback counts as its answer. */
static enum filter_status settle(struct http_filter *f, enum filter_dir dir, enum filter_status st)
{
    f->side[dir].in_callback = false;
    if (f->side[dir].continue_pending && is_pause(st))
        st = FILTER_CONTINUE;
    f->side[dir].continue_pending = false;
    return st;
}

static void check_water(struct http_filter *f, enum filter_dir dir)
{
    struct filter_side *side = &f->side[dir];
    bool is_high = side->held.len > f->stream->hcm->buffer_limit;
    if (is_high != side->is_high) {
        side->is_high = is_high;
        stream_on_chain_water(f->stream, dir, is_high);
    }
}

static void headers_from(struct stream *s, enum filter_dir dir, int i, bool end)
{
    struct headers *h = dir == DIR_REQ ? &s->req : &s->resp;
    uint32_t epoch = s->epoch;
    for (struct http_filter *f; (f = at(s, i)); i += step(dir)) {
        struct filter_side *side = &f->side[dir];
        headers_fn fn = headers_of(f, dir);
        if (f->is_skipped || !fn) {
            side->headers_state = H_PASSED;
            continue;
        }
        f->side[dir].in_callback = true;
        enum filter_status st = settle(f, dir, fn(f, h, end));
        if (s->epoch != epoch || st == FILTER_REPLIED)
            return;
        if (st == FILTER_CONTINUE) {
            side->headers_state = H_PASSED;
            continue;
        }
        side->headers_state = st == FILTER_PAUSE_HEADERS ? H_WAIT_HEADERS : H_WAIT_ALL;
        side->headers_end = end;
        return;
    }
    if (dir == DIR_RESP)
        stream_send_headers(s, end);
}

/* Keeps `data` in the filter's side. False: over the limit and the stream was answered. */
static bool hold(struct http_filter *f, enum filter_dir dir, struct buf *data, bool end,
                 bool is_bounded)
{
    struct filter_side *side = &f->side[dir];
    buf_move(&side->held, data);
    side->end_held = side->end_held || end;
    if (is_bounded && side->held.len > f->stream->hcm->buffer_limit) {
        buf_fini(&side->held);
        stream_on_chain_overflow(f->stream, dir);
        return false;
    }
    check_water(f, dir);
    return true;
}

/* Shows `data` to the filter; true: it goes on to the next one. */
static bool show_body(struct http_filter *f, enum filter_dir dir, struct buf *data, bool end)
{
    struct stream *s = f->stream;
    struct filter_side *side = &f->side[dir];
    body_fn fn = body_of(f, dir);
    if (side->headers_state == H_WAIT_ALL) {
        hold(f, dir, data, end, false);
        return false;
    }
    if (side->held.len) { /* it kept some: it sees all of it again */
        buf_move(&side->held, data);
        buf_move(data, &side->held);
        check_water(f, dir);
    }
    uint32_t epoch = s->epoch;
    enum filter_status st = FILTER_CONTINUE;
    if (fn) {
        f->side[dir].in_callback = true;
        st = settle(f, dir, fn(f, data, end));
    }
    if (s->epoch != epoch || st == FILTER_REPLIED)
        return false;
    switch (st) {
    case FILTER_CONTINUE:
        side->body_state = B_FLOWING;
        if (side->headers_state == H_WAIT_HEADERS) {
            side->headers_state = H_PASSED;
            headers_from(s, dir, f->index + step(dir), false);
        }
        return s->epoch == epoch;
    case FILTER_PAUSE_DISCARD:
        buf_consume(data, data->len);
        side->end_held = side->end_held || end;
        side->body_state = B_HELD;
        return false;
    default:
        side->body_state = B_HELD;
        hold(f, dir, data, end, st == FILTER_PAUSE_BUFFER);
        return false;
    }
}

static void body_from(struct stream *s, enum filter_dir dir, int i, struct buf *data, bool end)
{
    for (struct http_filter *f; (f = at(s, i)); i += step(dir))
        if (!f->is_skipped && !show_body(f, dir, data, end)) {
            buf_fini(data);
            return;
        }
    if (dir == DIR_RESP)
        stream_send_body(s, data, end);
    buf_fini(data);
}

/* What the filter held of the body goes on behind it. */
static void pass_held(struct http_filter *f, enum filter_dir dir, bool end)
{
    struct filter_side *side = &f->side[dir];
    struct buf data = {0};
    buf_move(&data, &side->held);
    side->body_state = B_FLOWING;
    check_water(f, dir);
    if (data.len || end)
        body_from(f->stream, dir, f->index + step(dir), &data, end);
}

static void trailers_from(struct stream *s, enum filter_dir dir, int i)
{
    struct headers *h = dir == DIR_REQ ? &s->req_trailers : &s->resp_trailers;
    uint32_t epoch = s->epoch;
    for (struct http_filter *f; (f = at(s, i)); i += step(dir)) {
        struct filter_side *side = &f->side[dir];
        trailers_fn fn = trailers_of(f, dir);
        if (f->is_skipped)
            continue;
        if (side->headers_state == H_WAIT_ALL) {
            side->trailers_held = true;
            return;
        }
        enum filter_status st = FILTER_CONTINUE;
        if (fn) {
            f->side[dir].in_callback = true;
            st = settle(f, dir, fn(f, h));
        }
        if (s->epoch != epoch || st == FILTER_REPLIED)
            return;
        if (st != FILTER_CONTINUE) {
            side->trailers_held = true;
            return;
        }
        if (side->headers_state == H_WAIT_HEADERS) {
            side->headers_state = H_PASSED;
            headers_from(s, dir, i + step(dir), false);
        }
        if (s->epoch == epoch && side->held.len)
            pass_held(f, dir, false);
        if (s->epoch != epoch)
            return;
    }
    if (dir == DIR_RESP)
        stream_send_trailers(s);
}

void filter_chain_headers(struct stream *s, enum filter_dir dir, bool end)
{
    headers_from(s, dir, first(s, dir), end);
}

void filter_chain_body(struct stream *s, enum filter_dir dir, struct buf *data, bool end)
{
    body_from(s, dir, first(s, dir), data, end);
}

void filter_chain_trailers(struct stream *s, enum filter_dir dir)
{
    trailers_from(s, dir, first(s, dir));
}

/* Waiting with everything: headers go on, then what came behind them is shown to the filter. */
static void go_on_all(struct http_filter *f, enum filter_dir dir)
{
    struct stream *s = f->stream;
    struct filter_side *side = &f->side[dir];
    uint32_t epoch = s->epoch;
    side->headers_state = H_PASSED;
    headers_from(s, dir, f->index + step(dir), side->headers_end);
    if (s->epoch != epoch || side->headers_end)
        return;
    struct buf data = {0};
    buf_move(&data, &side->held);
    check_water(f, dir);
    bool end = side->end_held && !side->trailers_held, trailers = side->trailers_held;
    side->end_held = side->trailers_held = false;
    if (data.len || end)
        body_from(s, dir, f->index, &data, end);
    if (s->epoch == epoch && trailers)
        trailers_from(s, dir, f->index);
}

static void go_on_behind(struct http_filter *f, enum filter_dir dir)
{
    struct stream *s = f->stream;
    struct filter_side *side = &f->side[dir];
    uint32_t epoch = s->epoch;
    bool end = side->end_held && !side->trailers_held, trailers = side->trailers_held;
    side->end_held = side->trailers_held = false;
    if (side->headers_state == H_WAIT_HEADERS) {
        side->headers_state = H_PASSED;
        headers_from(s, dir, f->index + step(dir), side->headers_end);
        if (side->headers_end)
            return;
    }
    if (s->epoch == epoch)
        pass_held(f, dir, end);
    if (s->epoch == epoch && trailers)
        trailers_from(s, dir, f->index + step(dir));
}

static void go_on(struct http_filter *f, enum filter_dir dir)
{
    struct filter_side *side = &f->side[dir];
    if (side->in_callback) {
        side->continue_pending = true;
        return;
    }
    struct stream *s = f->stream;
    if (s->is_ended || (dir == DIR_REQ && s->is_replied))
        return;
    if (side->headers_state == H_WAIT_ALL)
        go_on_all(f, dir);
    else if (side->headers_state != H_NONE)
        go_on_behind(f, dir);
}

void filter_continue_request(struct http_filter *f)
{
    go_on(f, DIR_REQ);
}

void filter_continue_response(struct http_filter *f)
{
    go_on(f, DIR_RESP);
}
