/* Format strings of access logs and header values: the text up to the first NUL; what follows is a
 * value that the request's headers have. Held to: what is accepted prints, for a request and for a
 * TCP session, and the form that leaves "-" out is never longer. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf_filter_chain chain = {.name = "chain"};
static struct downstream_info down = {.requested_server_name = "sni.test", .chain = &chain};

static void fill(struct stream *s, struct str value)
{
    struct error err;
    memset(s, 0, sizeof(*s));
    if (addr_from_ip(STR("10.0.0.1"), 1111, &down.remote, &err) ||
        addr_from_ip(STR("2001:db8::1"), 80, &down.local, &err))
        abort();
    s->info = (struct stream_info){.down = &down,
                                   .start_wall_ns = 1460751420310987654u,
                                   .start_us = 1000000,
                                   .end_us = 1020999,
                                   .flags = FLAG_UPSTREAM_CONNECTION_FAILURE,
                                   .status = 503,
                                   .details = "a detail",
                                   .upstream_cluster = "c",
                                   .upstream_host_name = "host.test",
                                   .route_name = STR("r"),
                                   .attempts = 2,
                                   .http_minor = 11};
    headers_add_id(&s->req, HDR_METHOD, STR("GET"));
    headers_add_id(&s->req, HDR_PATH, value);
    headers_add(&s->req, STR("x-a"), value);
    headers_add_id(&s->resp, HDR_STATUS, STR("503"));
    headers_add(&s->resp, STR("x-a"), value);
}

static void print_all(const struct format *f, struct str value)
{
    struct stream s;
    struct sbuf out = {0}, bare = {0};
    fill(&s, value);
    format_print(f, &s.info, &s, &out);
    format_print_value(f, &s.info, &s, &bare);
    if (bare.n > out.n)
        abort();
    format_print(f, &s.info, NULL, &out);
    sbuf_fini(&out);
    sbuf_fini(&bare);
    headers_fini(&s.req);
    headers_fini(&s.resp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct format *f;
    char *text = mem_strndup((const char *)data, size);
    size_t n = strlen(text);
    struct str value = {(const char *)data + n + 1, n < size ? size - n - 1 : 0};
    if (format_parse(text, &f, &err) == 0) {
        print_all(f, n < size ? value : STR(""));
        format_destroy(&f);
    }
    mem_free(text);
    return 0;
}
