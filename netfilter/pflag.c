#include "netfilter/pflag.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { DURATION_MAX_MS = 24 * 3600 * 1000 };

struct parser {
    const struct pflag *flags;
    size_t flag_count;
    int argc, next;
    char **argv;
    void *target;
};

bool pflag_to_bool(struct str text, bool *value_r)
{
    static const char *const words[2][6] = {{"0", "f", "F", "FALSE", "false", "False"},
                                            {"1", "t", "T", "TRUE", "true", "True"}};
    for (size_t v = 0; v < 2; v++)
        for (size_t i = 0; i < ARRAY_LEN(words[v]); i++)
            if (str_is(text, words[v][i])) {
                *value_r = v;
                return true;
            }
    return false;
}

static double take_number(struct str *s, bool *ok_r)
{
    double value = 0, scale = 1;
    bool has_digit = false, has_point = false;
    while (s->n && ((*s->p >= '0' && *s->p <= '9') || (*s->p == '.' && !has_point))) {
        if (*s->p == '.') {
            has_point = true;
        } else {
            has_digit = true;
            if (has_point)
                scale /= 10;
            value = has_point ? value + (*s->p - '0') * scale : value * 10 + (*s->p - '0');
        }
        s->p++;
        s->n--;
    }
    *ok_r = has_digit;
    return value;
}

static bool take_unit_ms(struct str *s, double *ms_r)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {
        {"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"\xce\xbcs", 1e-3},
        {"ms", 1},    {"s", 1e3},   {"m", 6e4},          {"h", 3.6e6},
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct str name = str_of(units[i].name);
        if (str_starts(*s, name)) {
            s->p += name.n;
            s->n -= name.n;
            *ms_r = units[i].ms;
            return true;
        }
    }
    return false;
}

bool pflag_to_duration_ms(struct str text, uint32_t *ms_r)
{
    double total = 0;
    if (str_is(text, "0")) {
        *ms_r = 0;
        return true;
    }
    if (!text.n)
        return false;
    while (text.n) {
        bool ok;
        double unit_ms, number = take_number(&text, &ok);
        if (!ok || !take_unit_ms(&text, &unit_ms))
            return false;
        total += number * unit_ms;
        if (total > DURATION_MAX_MS)
            return false;
    }
    *ms_r = (uint32_t)total;
    return true;
}

static bool set_value(const struct pflag *f, void *target, const char *text)
{
    char *at = (char *)target + f->offset;
    struct str s = str_of(text);
    uint64_t number;
    bool flag;

    switch (f->kind) {
    case PFLAG_STRING:
        *(const char **)at = text;
        return true;
    case PFLAG_BOOL:
        return pflag_to_bool(s, (bool *)at);
    case PFLAG_PORT:
        if (!str_to_u64(s, UINT16_MAX, &number) || number == 0)
            return false;
        *(uint16_t *)at = (uint16_t)number;
        return true;
    case PFLAG_DURATION:
        return pflag_to_duration_ms(s, (uint32_t *)at);
    case PFLAG_IGNORED:
        return true;
    case PFLAG_IGNORED_BOOL:
        return pflag_to_bool(s, &flag);
    }
    return false;
}

static void set_from_env(const struct pflag *f, const char *name, void *target)
{
    const char *text = name ? getenv(name) : NULL;
    if (text && !set_value(f, target, text))
        log_warn(LOG_MAIN, "%s: \"%s\" is not a value for --%s, ignored", name, text, f->name);
}

static bool is_bool(const struct pflag *f)
{
    return f->kind == PFLAG_BOOL || f->kind == PFLAG_IGNORED_BOOL;
}

static int set_from_argument(const struct pflag *f, void *target, const char *text,
                             struct error *err)
{
    if (set_value(f, target, text))
        return 0;
    return error_set(err, ERR_INVALID, "--%s: invalid value \"%s\"", f->name, text);
}

/* Sets f from `text`, or from the next word when text is NULL and f is not a bool. */
static int take_value(struct parser *p, const struct pflag *f, const char *text, struct error *err)
{
    if (!text && is_bool(f))
        text = "true";
    if (!text) {
        if (p->next >= p->argc)
            return error_set(err, ERR_INVALID, "--%s: needs a value", f->name);
        text = p->argv[p->next++];
    }
    return set_from_argument(f, p->target, text, err);
}

static int parse_long(struct parser *p, const char *word, struct error *err)
{
    const char *eq = strchr(word, '=');
    struct str name = {word, eq ? (size_t)(eq - word) : strlen(word)};
    for (size_t i = 0; i < p->flag_count; i++)
        if (str_is(name, p->flags[i].name))
            return take_value(p, &p->flags[i], eq ? eq + 1 : NULL, err);
    return error_set(err, ERR_INVALID, "unknown flag: --%.*s", STR_ARG(name));
}

static const struct pflag *find_short(const struct parser *p, char c)
{
    for (size_t i = 0; i < p->flag_count; i++)
        if (p->flags[i].short_name == c)
            return &p->flags[i];
    return NULL;
}

/* A cluster such as "nq80": bools one after the other, and the first flag that takes a value
 * swallows the rest of the word. */
static int parse_short(struct parser *p, const char *word, struct error *err)
{
    for (const char *c = word; *c; c++) {
        const struct pflag *f = find_short(p, *c);
        if (!f)
            return error_set(err, ERR_INVALID, "unknown shorthand flag: '%c' in -%s", *c, word);
        if (c[1] == '=')
            return take_value(p, f, c + 2, err);
        if (!is_bool(f))
            return take_value(p, f, c[1] ? c + 1 : NULL, err);
        int rc = take_value(p, f, NULL, err);
        if (rc)
            return rc;
    }
    return 0;
}

int pflag_parse(const struct pflag *flags, size_t flag_count, int argc, char **argv, void *target,
                bool *wants_help_r, struct error *err)
{
    struct parser p = {flags, flag_count, argc, 1, argv, target};

    *wants_help_r = false;
    for (size_t i = 0; i < flag_count; i++) {
        set_from_env(&flags[i], flags[i].env, target);
        set_from_env(&flags[i], flags[i].env_second, target);
    }
    while (p.next < argc) {
        const char *word = argv[p.next++];
        if (strcmp(word, "--") == 0)
            return 0;
        if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
            *wants_help_r = true;
            return 0;
        }
        int rc = 0;
        if (word[0] == '-' && word[1] == '-')
            rc = parse_long(&p, word + 2, err);
        else if (word[0] == '-' && word[1])
            rc = parse_short(&p, word + 1, err);
        if (rc)
            return rc;
    }
    return 0;
}
