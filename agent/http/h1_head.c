/* Heads and trailer sections. A head that arrived whole, as nearly all do, is scanned once and
 * stored as it is scanned. One that comes in pieces is scanned line by line as its lines become
 * complete, each byte once, and stored by a second pass when the empty line is there; so a sender
 * of single bytes costs no more than a sender of full segments.
 *
 * Errors of syntax go before errors of meaning (framing, target, version), so that a message gets
 * the same answer however it was cut. */
#include "http/chars.h"
#include "http/h1_parse_private.h"
#include "http/uri.h"

struct start_line {
    struct str method, target; /* requests */
    struct str status;         /* responses */
    uint8_t minor_version;
};

static const char *fail(struct h1_parser *p, enum h1_error e)
{
    h1_fail(p, e);
    return NULL;
}

/* CR LF and nothing else: a lone CR or LF is a line end to some parsers and not to others. */
static const char *scan_crlf(struct h1_parser *p, const char *at, const char *end)
{
    if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
        return at + 2;
    bool may_still_come = at == end || (at[0] == '\r' && end - at == 1);
    return may_still_come ? NULL : fail(p, H1_ERROR_CODEC);
}

const char *h1_scan_field(struct h1_parser *p, const char *at, const char *end, struct h1_field *f)
{
    const char *stop = chars_skip_token(at, end);
    if (stop == end)
        return NULL;
    if (*stop != ':' || stop == at)
        return fail(p, H1_ERROR_CODEC);
    f->name = (struct str){at, (size_t)(stop - at)};
    for (at = stop + 1; at < end && (*at == ' ' || *at == '\t');)
        at++;
    stop = chars_skip_value(at, end);
    if (stop == end)
        return NULL;
    if (*stop != '\r' && *stop != '\n')
        return fail(p, H1_ERROR_INVALID_CHARACTERS);
    const char *last = stop;
    while (last > at && (last[-1] == ' ' || last[-1] == '\t'))
        last--;
    f->value = (struct str){at, (size_t)(last - at)};
    return scan_crlf(p, stop, end);
}

/* "HTTP/1.0" or "HTTP/1.1". */
static const char *scan_version(struct h1_parser *p, const char *at, const char *end,
                                struct start_line *line)
{
    static const char text[] = "HTTP/1.";
    size_t have = (size_t)(end - at), want = sizeof(text) - 1;
    if (memcmp(at, text, have < want ? have : want))
        return fail(p, H1_ERROR_CODEC);
    if (have <= want)
        return NULL;
    if (at[want] != '0' && at[want] != '1')
        return fail(p, H1_ERROR_CODEC);
    line->minor_version = (uint8_t)(at[want] - '0');
    return at + want + 1;
}

static const char *scan_request_line(struct h1_parser *p, const char *at, const char *end,
                                     struct start_line *line)
{
    const char *stop = chars_skip_token(at, end);
    if (stop == end)
        return NULL;
    if (*stop != ' ' || stop == at)
        return fail(p, H1_ERROR_CODEC);
    line->method = (struct str){at, (size_t)(stop - at)};
    at = stop + 1;
    /* A fragment is for the connection manager to refuse. */
    for (stop = chars_skip_target(at, end); stop < end && *stop == '#';)
        stop = chars_skip_target(stop + 1, end);
    if (stop == end)
        return NULL;
    if (*stop != ' ' || stop == at)
        return fail(p, *stop == '\r' || *stop == '\n' ? H1_ERROR_CODEC : H1_ERROR_INVALID_URL);
    line->target = (struct str){at, (size_t)(stop - at)};
    at = scan_version(p, stop + 1, end, line);
    return at ? scan_crlf(p, at, end) : NULL;
}

/* Servers are known to leave out the reason together with the space before it. */
static const char *scan_status_line(struct h1_parser *p, const char *at, const char *end,
                                    struct start_line *line)
{
    at = scan_version(p, at, end, line);
    if (!at)
        return NULL;
    const char *digits = at + 1;
    for (; at < digits + 3; at++) {
        if (at == end)
            return NULL;
        bool is_digit = *at >= (at == digits ? '1' : '0') && *at <= '9';
        if (at < digits ? *at != ' ' : !is_digit)
            return fail(p, H1_ERROR_CODEC);
    }
    line->status = (struct str){digits, 3};
    if (at == end)
        return NULL;
    if (*at == ' ') {
        at = chars_skip_value(at, end);
        if (at < end && *at != '\r' && *at != '\n')
            return fail(p, H1_ERROR_INVALID_CHARACTERS);
    }
    return scan_crlf(p, at, end);
}

static const char *scan_start_line(struct h1_parser *p, const char *at, const char *end,
                                   struct start_line *line)
{
    return p->kind == H1_REQUEST ? scan_request_line(p, at, end, line)
                                 : scan_status_line(p, at, end, line);
}

static bool count_field(struct h1_parser *p)
{
    if (++p->count <= p->headers_count_max)
        return true;
    h1_fail(p, H1_ERROR_TOO_MANY_HEADERS);
    return false;
}

/* Notes where to look on, or that the section is too long to go on looking. */
static size_t need_more(struct h1_parser *p, struct str in, size_t line_from, bool is_cut)
{
    if (p->state == H1_FAILED)
        return 0;
    if (is_cut)
        return h1_fail(p, H1_ERROR_HEADERS_TOO_LARGE);
    p->line_from = line_from;
    p->scan_from = in.n;
    return 0;
}

/* Goes over the lines that became complete since the last call; true when the empty line is
 * there, at which storing can begin. */
static bool scan_new_lines(struct h1_parser *p, struct str in, size_t start, bool is_cut)
{
    bool has_start_line = p->state == H1_HEAD;
    const char *lf;
    while ((lf = memchr(in.p + p->scan_from, '\n', in.n - p->scan_from))) {
        const char *at = in.p + p->line_from, *end = lf + 1;
        struct start_line line;
        struct h1_field field;
        if (p->line_from < start) {
            /* The empty line before a request. */
        } else if (has_start_line && p->line_from == start) {
            if (!scan_start_line(p, at, end, &line))
                return false;
        } else if (*at == '\r' && at + 2 == end) {
            return true;
        } else if (!h1_scan_field(p, at, end, &field) || !count_field(p)) {
            return false;
        }
        p->line_from = p->scan_from = (size_t)(end - in.p);
    }
    need_more(p, in, p->line_from, is_cut);
    return false;
}

/* Blanks may follow a value, but llhttp reads "chunked" TAB as another coding: on the fields that
 * decide on framing a tab is not taken. At least the line's CR follows the value in memory. */
static bool is_tab_behind(struct str value)
{
    const char *p = value.p + value.n;
    while (*p == ' ')
        p++;
    return *p == '\t';
}

static void note_field(struct h1_facts *facts, enum hdr id, struct str value, struct headers *out)
{
    switch (id) {
    case HDR_HOST:
        facts->hosts++;
        facts->host = value;
        if (facts->is_host_wanted)
            headers_move_last(out, HDR_AUTHORITY);
        break;
    case HDR_CONTENT_LENGTH:
        facts->content_lengths++;
        facts->content_length = value;
        facts->is_odd |= is_tab_behind(value);
        break;
    case HDR_TRANSFER_ENCODING:
        facts->transfer_encodings++;
        facts->transfer_encoding = value;
        facts->is_odd |= is_tab_behind(value);
        break;
    case HDR_CONNECTION:
        facts->connections++;
        facts->connection = value;
        break;
    case HDR_PROXY_CONNECTION:
        facts->proxy_connection = value;
        break;
    default:
        break;
    }
}

/* Stores the field lines up to the empty one. Returns what follows, or NULL; *line_r is where the
 * incomplete line begins. */
static const char *store_fields(struct h1_parser *p, const char *at, const char *end,
                                struct headers *out, struct h1_facts *facts, const char **line_r)
{
    struct h1_field f;
    p->count = 0;
    for (;;) {
        *line_r = at;
        if (at < end && *at == '\r')
            return scan_crlf(p, at, end);
        at = h1_scan_field(p, at, end, &f);
        if (!at || !count_field(p))
            return NULL;
        if (!out)
            continue;
        headers_add_wire(out, f.name, f.value, end);
        if (p->names)
            header_case_note(p->names, f.name);
        enum hdr id = out->v[out->n - 1].id;
        if (id != HDR_OTHER)
            note_field(facts, id, f.value, out);
    }
}

/* Host has its place in :authority; that of an absolute target goes before it (RFC 9112 3.2.2). A
 * request without any is the connection manager's to answer. */
static void settle_host(struct h1_parser *p, struct h1_facts *facts, struct headers *out)
{
    if (facts->hosts > 1)
        h1_fail(p, H1_ERROR_CODEC);
    else if (facts->hosts && !facts->host.n)
        h1_fail(p, H1_ERROR_MISSING_HOST);
    else if (facts->hosts && !uri_authority_is_valid(facts->host))
        h1_fail(p, H1_ERROR_CODEC);
    /* Host beside an authority in the target has done its duty. */
    if (p->state != H1_FAILED && facts->is_host_wanted != !!facts->hosts)
        headers_remove_id(out, facts->hosts ? HDR_HOST : HDR_AUTHORITY);
}

static void finish_request(struct h1_parser *p, struct h1_facts *facts, struct headers *out)
{
    if (p->minor_version == 0 && !p->accept_http_10)
        h1_fail(p, H1_ERROR_LOW_VERSION);
    else if (facts->target_error)
        h1_fail(p, facts->target_error);
    else
        settle_host(p, facts, out);
}

/* No standard has Proxy-Connection, but clients of proxies send it. */
static bool has_close(struct str list)
{
    struct str token;
    while (list.n && str_next(&list, ',', &token))
        if (str_eq_nocase(str_trim(token), STR("close")))
            return true;
    return false;
}

/* Everything that the lines mean together, once all of them are known to be sound. */
static void finish_head(struct h1_parser *p, struct h1_facts *facts, struct headers *out)
{
    p->is_upgrade = false;
    p->keep_alive = p->minor_version > 0;
    if (p->kind == H1_REQUEST)
        finish_request(p, facts, out);
    if (p->state != H1_FAILED && facts->is_odd)
        h1_fail(p, H1_ERROR_CODEC);
    if (p->state != H1_FAILED)
        h1_decide_framing(p, facts, out);
    if (p->state != H1_FAILED && facts->connections)
        h1_read_connection(p, facts, out);
    if (p->body == H1_BODY_UNTIL_CLOSE || has_close(facts->proxy_connection))
        p->keep_alive = false;
}

static void store_start_line(struct h1_parser *p, const struct start_line *line,
                             struct headers *out, struct h1_facts *facts)
{
    p->minor_version = line->minor_version;
    if (p->kind == H1_RESPONSE) {
        headers_add_id(out, HDR_STATUS, line->status);
        facts->status = headers_status(out);
        return;
    }
    facts->method = line->method;
    facts->target = line->target;
    facts->is_connect = str_is(line->method, "CONNECT");
    headers_add_id(out, HDR_METHOD, line->method);
    h1_store_target(p, facts, out);
}

static size_t section_done(struct h1_parser *p, size_t used)
{
    p->line_from = p->scan_from = 0;
    p->count = 0;
    return p->state == H1_FAILED ? 0 : used;
}

static size_t store_head(struct h1_parser *p, struct str in, size_t start, struct headers *out,
                         bool is_cut)
{
    const char *at = in.p + start, *end = in.p + in.n, *line_at = at;
    struct start_line line;
    struct h1_facts facts = {0};
    headers_clear(out);
    if (p->names)
        header_case_begin(p->names, p->names_conf);
    at = scan_start_line(p, at, end, &line);
    if (at) {
        store_start_line(p, &line, out, &facts);
        at = store_fields(p, at, end, out, &facts, &line_at);
    }
    if (!at)
        return need_more(p, in, (size_t)(line_at - in.p), is_cut);
    finish_head(p, &facts, out);
    return section_done(p, (size_t)(at - in.p));
}

/* Cuts `in` to the limit: what lies behind is never looked at as part of this section. */
static bool cut_to_limit(const struct h1_parser *p, struct str *in)
{
    if (in->n <= p->headers_size_max)
        return false;
    in->n = p->headers_size_max;
    return true;
}

size_t h1_parse_head(struct h1_parser *p, struct str in, struct headers *out)
{
    if (p->state != H1_HEAD || !in.n)
        return 0;
    bool is_cut = cut_to_limit(p, &in);
    size_t start = 0;
    if (p->kind == H1_REQUEST && in.p[0] == '\r') {
        if (in.n == 1)
            return 0;
        if (in.p[1] != '\n')
            return h1_fail(p, H1_ERROR_CODEC);
        start = 2;
    }
    if (p->scan_from && !scan_new_lines(p, in, start, is_cut))
        return 0;
    return store_head(p, in, start, out, is_cut);
}

size_t h1_parse_trailers(struct h1_parser *p, struct str in, struct headers *out)
{
    if (p->state != H1_TRAILERS || !in.n)
        return 0;
    bool is_cut = cut_to_limit(p, &in);
    if (p->scan_from && !scan_new_lines(p, in, 0, is_cut))
        return 0;
    struct h1_facts facts = {0};
    const char *line_at;
    if (out)
        headers_clear(out);
    const char *at = store_fields(p, in.p, in.p + in.n, out, &facts, &line_at);
    if (!at)
        return need_more(p, in, (size_t)(line_at - in.p), is_cut);
    /* Framing and routing were settled by the head; a trailer must not seem to change them. */
    if (facts.hosts || facts.content_lengths || facts.transfer_encodings)
        return h1_fail(p, H1_ERROR_CODEC);
    p->state = H1_DONE;
    return section_done(p, (size_t)(at - in.p));
}
