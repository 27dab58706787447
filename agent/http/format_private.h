/* What the format*.c files share. Inside http/ only. */
#ifndef HTTP_FORMAT_PRIVATE_H
#define HTTP_FORMAT_PRIVATE_H

#include "http/format.h"

struct format_item;

/* Appends the value; false when there is none ("-"). */
typedef bool (*format_print_fn)(const struct format_item *it, const struct stream_info *info,
                                const struct stream *s, struct sbuf *out);

struct format_item {
    format_print_fn print; /* NULL: literal text */
    char *text;            /* literal, or the argument */
    char *other;           /* second header name of X?Y */
    size_t length_max;     /* 0: whole */
    int a, b;              /* parsed arguments */
    bool is_number, keeps_absent;
};

struct format_items {
    struct format_item *v;
    size_t n, cap;
};

enum format_argument { FORMAT_ARG_NONE, FORMAT_ARG_OPTIONAL, FORMAT_ARG_NEEDED, FORMAT_ARG_HEADER };

struct format_operator {
    const char *name;
    format_print_fn print;
    enum format_argument argument;
    bool is_number; /* in JSON */
    /* Looks at the argument (p NULL: none); NULL: it is kept as text. */
    int (*prepare)(struct format_item *it, struct str arg, struct error *err);
};

/* Tables of format_ops.c (streams) and format_peer.c (addresses, TLS). */
extern const struct format_operator format_stream_operators[];
extern const size_t format_stream_operators_n;
extern const struct format_operator format_peer_operators[];
extern const size_t format_peer_operators_n;

int format_items_parse(const char *text, struct format_items *items, struct error *err);
void format_items_fini(struct format_items *items);
/* One item, with `absent` in place of no value; true when there was one. */
bool format_item_print(const struct format_item *it, const struct stream_info *info,
                       const struct stream *s, const char *absent, struct sbuf *out);
void format_items_print(const struct format_items *items, const struct stream_info *info,
                        const struct stream *s, const char *absent, struct sbuf *out);

/* ---- for operators ---- */
bool format_number(struct sbuf *out, uint64_t v);
bool format_text(struct sbuf *out, const char *text); /* NULL or "": none */
bool format_str(struct sbuf *out, struct str text);
/* Envoy's time patterns: strftime's, with %f, %1f to %9f, %E3S, %s. pattern NULL: the default. */
bool format_time(uint64_t wall_ns, const char *pattern, bool is_local, struct sbuf *out);

/* ---- format_json.c ---- */
struct format_json;
int format_json_create(const struct conf_format *conf, struct format_json **j_r, struct error *err);
void format_json_destroy(struct format_json **j);
void format_json_print(const struct format_json *j, const struct stream_info *info,
                       const struct stream *s, struct sbuf *out);

#define FORMAT_OPERATOR(name, expr)                                                        \
    static bool print_##name(const struct format_item *it, const struct stream_info *info, \
                             const struct stream *s, struct sbuf *out)                     \
    {                                                                                      \
        (void)it;                                                                          \
        (void)info;                                                                        \
        (void)s;                                                                           \
        (void)out;                                                                         \
        return (expr);                                                                     \
    }

#endif
