/* What routing reads of a request: path, query, cookies, scopes. Lines of the input: path, name of
 * a parameter or cookie, two cookie fields, substitution. Held to: what is returned lies in what
 * was given; a normalized path is its own normal form; replacing is bounded. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/regex.h"
#include "http/route_match.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REPLACED_MAX = 1000 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static bool is_inside(struct str part, const char *p, size_t n)
{
    return !part.n || (part.p >= p && part.p + part.n <= p + n);
}

static void normalize(struct str path)
{
    struct sbuf once = {0}, twice = {0};
    if (uri_normalize_path(path, &once)) {
        check(once.n && once.p[0] == '/');
        check(uri_normalize_path((struct str){once.p, once.n}, &twice));
    }
    sbuf_fini(&once);
    sbuf_fini(&twice);
}

static void scope(const struct headers *h, struct str name)
{
    struct conf_scope_fragment f[] = {
        {.header = STR("cookie"), .element_separator = STR(";"), .place = 1},
        {.header = STR("cookie"),
         .element_separator = name,
         .by_key = true,
         .key = STR("a"),
         .separator = STR("=")},
    };
    const struct conf_scoped_routes s = {.fragments = f, .fragments_n = 2};
    struct sbuf key = {0};
    route_scope_key(&s, h, &key);
    sbuf_fini(&key);
}

static void replace(struct str text, struct str to)
{
    struct regex *re;
    struct sbuf out = {0};
    check(regex_create(STR("(a*)|([0-9]+)/?"), &re, NULL) == 0);
    if (regex_check_substitution(re, to, NULL) == 0 &&
        regex_replace(re, text, to, REPLACED_MAX, &out))
        check(out.n <= REPLACED_MAX);
    sbuf_fini(&out);
    regex_destroy(&re);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, line[5];
    for (size_t i = 0; i < ARRAY_LEN(line); i++)
        if (!str_next(&rest, '\n', &line[i]))
            line[i] = STR("");
    struct headers h = {0};
    headers_add(&h, STR("cookie"), line[2]);
    headers_add(&h, STR("cookie"), line[3]);
    check(is_inside(route_query(line[0], line[1]), line[0].p, line[0].n));
    check(is_inside(route_cookie(&h, line[1]), h.bytes, h.bytes_n));
    normalize(line[0]);
    scope(&h, line[1]);
    replace(line[0], line[4]);
    headers_fini(&h);
    return 0;
}
