/* Format strings: parsing and printing. The operators are in format_ops.c and format_peer.c. */
#include "http/format_private.h"

#include "base/mem.h"

static const char default_text[] =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

struct format {
    struct format_items items;
    struct format_json *json; /* instead */
    const char *absent;
};

/* ---- parsing ---- */

static struct format_item *add_item(struct format_items *f)
{
    mem_grow((void **)&f->v, &f->cap, f->n + 1, sizeof(*f->v));
    f->v[f->n] = (struct format_item){0};
    return &f->v[f->n++];
}

static char *lower_copy(struct str s)
{
    char *p = mem_strndup(s.p, s.n);
    for (char *c = p; *c; c++)
        *c = str_lower(*c);
    return p;
}

static void set_header_names(struct format_item *it, struct str arg)
{
    ptrdiff_t q = str_find(arg, '?');
    struct str first = {arg.p, q < 0 ? arg.n : (size_t)q};
    it->text = lower_copy(first);
    if (q >= 0)
        it->other = lower_copy((struct str){arg.p + q + 1, arg.n - (size_t)q - 1});
}

static const struct format_operator *find_operator(struct str name)
{
    for (size_t i = 0; i < format_stream_operators_n; i++)
        if (str_is(name, format_stream_operators[i].name))
            return &format_stream_operators[i];
    for (size_t i = 0; i < format_peer_operators_n; i++)
        if (str_is(name, format_peer_operators[i].name))
            return &format_peer_operators[i];
    return NULL;
}

static int set_operator(struct format_item *it, struct str name, struct str arg, struct error *err)
{
    const struct format_operator *op = find_operator(name);
    if (!op)
        return error_set(err, ERR_UNSUPPORTED, "Not supported field in StreamInfo: %.*s",
                         STR_ARG(name));
    if (op->argument >= FORMAT_ARG_NEEDED && !arg.n)
        return error_set(err, ERR_INVALID, "%.*s requires parameters", STR_ARG(name));
    if (op->argument == FORMAT_ARG_NONE && arg.p)
        return error_set(err, ERR_INVALID, "%.*s does not take any parameters or length",
                         STR_ARG(name));
    it->print = op->print;
    it->is_number = op->is_number;
    if (op->prepare)
        return op->prepare(it, arg, err) ? error_prefix(err, "%.*s: ", STR_ARG(name)) : 0;
    if (op->argument == FORMAT_ARG_HEADER)
        set_header_names(it, arg);
    else if (arg.n)
        it->text = mem_strndup(arg.p, arg.n);
    return 0;
}

/* text stands on '%'. Returns the bytes used, or a negative code. */
static ptrdiff_t parse_operator(struct format_items *f, const char *text, size_t position,
                                struct error *err)
{
    const char *p = text + 1;
    struct str name = {p, 0}, arg = STR_NULL;
    uint64_t length = 0;
    while ((*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_')
        p++;
    name.n = (size_t)(p - name.p);
    if (*p == '(') {
        arg.p = ++p;
        while (*p && *p != ')')
            p++;
        arg.n = (size_t)(p - arg.p);
        p += *p == ')';
    }
    if (*p == ':') {
        struct str digits = {++p, 0};
        while (*p >= '0' && *p <= '9')
            p++;
        digits.n = (size_t)(p - digits.p);
        if (!str_to_u64(digits, 1 << 20, &length))
            name.n = 0;
    }
    if (!name.n || *p != '%')
        return error_set(err, ERR_INVALID,
                         "Incorrect configuration: %.200s. Couldn't find valid command at position "
                         "%zu",
                         text - position, position);
    struct format_item *it = add_item(f);
    it->length_max = length;
    int rc = set_operator(it, name, arg, err);
    return rc ? rc : p + 1 - text;
}

int format_items_parse(const char *text, struct format_items *f, struct error *err)
{
    struct sbuf literal = {0};
    *f = (struct format_items){0};
    for (const char *p = text; *p;) {
        if (*p != '%' || p[1] == '%') {
            sbuf_addc(&literal, *p);
            p += *p == '%' ? 2 : 1;
            continue;
        }
        if (literal.n)
            add_item(f)->text = sbuf_take(&literal);
        ptrdiff_t used = parse_operator(f, p, (size_t)(p - text), err);
        if (used < 0) {
            sbuf_fini(&literal);
            format_items_fini(f);
            return (int)used;
        }
        p += used;
    }
    if (literal.n)
        add_item(f)->text = sbuf_take(&literal);
    return 0;
}

void format_items_fini(struct format_items *f)
{
    for (size_t i = 0; i < f->n; i++) {
        mem_free(f->v[i].text);
        mem_free(f->v[i].other);
    }
    mem_free(f->v);
    *f = (struct format_items){0};
}

int format_create(const struct conf_format *conf, struct format **f_r, struct error *err)
{
    struct format *f = MEM_NEW(struct format);
    int rc = conf->json
                 ? format_json_create(conf, &f->json, err)
                 : format_items_parse(conf->text ? conf->text : default_text, &f->items, err);
    f->absent = conf->omits_empty ? "" : "-";
    if (rc)
        format_destroy(&f);
    *f_r = f;
    return rc;
}

int format_parse(const char *text, struct format **f_r, struct error *err)
{
    const struct conf_format conf = {.text = text};
    return format_create(&conf, f_r, err);
}

void format_destroy(struct format **format)
{
    struct format *f = *format;
    if (!f)
        return;
    format_items_fini(&f->items);
    format_json_destroy(&f->json);
    mem_free(f);
    *format = NULL;
}

/* ---- printing ---- */

bool format_item_print(const struct format_item *it, const struct stream_info *info,
                       const struct stream *s, const char *absent, struct sbuf *out)
{
    size_t from = out->n;
    if (!it->print) {
        sbuf_addz(out, it->text);
        return true;
    }
    bool has_value = it->print(it, info, s, out);
    if (!has_value)
        sbuf_addz(out, absent);
    if (it->length_max && out->n - from > it->length_max) {
        out->n = from + it->length_max;
        out->p[out->n] = 0;
    }
    return has_value;
}

void format_items_print(const struct format_items *f, const struct stream_info *info,
                        const struct stream *s, const char *absent, struct sbuf *out)
{
    for (size_t i = 0; i < f->n; i++)
        format_item_print(&f->v[i], info, s, absent, out);
}

void format_print(const struct format *f, const struct stream_info *info, const struct stream *s,
                  struct sbuf *out)
{
    if (f->json)
        format_json_print(f->json, info, s, out);
    else
        format_items_print(&f->items, info, s, f->absent, out);
}

void format_print_value(const struct format *f, const struct stream_info *info,
                        const struct stream *s, struct sbuf *out)
{
    format_items_print(&f->items, info, s, "", out);
}

/* ---- what operators share ---- */

bool format_number(struct sbuf *out, uint64_t v)
{
    char text[24], *p = text + sizeof(text);
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    sbuf_add(out, p, (size_t)(text + sizeof(text) - p));
    return true;
}

bool format_text(struct sbuf *out, const char *text)
{
    if (!text || !*text)
        return false;
    sbuf_addz(out, text);
    return true;
}

bool format_str(struct sbuf *out, struct str text)
{
    if (!text.p)
        return false;
    sbuf_add(out, text.p, text.n);
    return true;
}
