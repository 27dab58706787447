/* The expressions of tags: Envoy's are ECMAScript, ours RE2; and a text that each match must hold,
 * so that most names need no matching. */
#include "base/mem.h"
#include "conf/stat_tags.h"

void conf_stat_pattern(const char *ecma, struct sbuf *out)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"(?=\\.).*?\\.", "\\.(?:.*?\\.)??"},
        {"(?=\\.).*\\.", "\\.(?:.*\\.)?"},
        {"(?=\\.)\\.", "\\."},
    };
    while (*ecma) {
        size_t i = 0;
        while (i < ARRAY_LEN(rows) && !str_starts(str_of(ecma), str_of(rows[i].from)))
            i++;
        if (i < ARRAY_LEN(rows)) {
            sbuf_addz(out, rows[i].to);
            ecma += strlen(rows[i].from);
        } else {
            if (*ecma == '\\' && ecma[1])
                sbuf_addc(out, *ecma++);
            sbuf_addc(out, *ecma++);
        }
    }
}

/* ---- what a match must hold ---- */

enum { DEPTH_MAX = 16, PART_MAX = 64, PART_MIN = 3 };

struct part {
    char text[PART_MAX];
    size_t n;
};

/* One group: the longest text that it surely has, unless it has alternatives. */
struct group {
    struct part best;
    bool has_alternatives;
};

struct scan {
    const char *p;
    struct group groups[DEPTH_MAX];
    size_t depth;
    struct part run; /* of characters that stand for themselves */
};

static void end_run(struct scan *s)
{
    struct part *best = &s->groups[s->depth].best;
    if (s->run.n > best->n)
        *best = s->run;
    s->run.n = 0;
}

/* "{2}", "{2,}", "{2,3}": its length; 0: the brace stands for itself. */
static size_t count_length(const char *p)
{
    size_t n = 1 + strspn(p + 1, "0123456789");
    if (n == 1)
        return 0;
    if (p[n] == ',')
        n += 1 + strspn(p + n + 1, "0123456789");
    return p[n] == '}' ? n + 1 : 0;
}

/* "[:digit:]": its length; 0: it is none. */
static size_t class_name_length(const char *p)
{
    if (p[0] != '[' || p[1] != ':')
        return 0;
    size_t n = 2 + strspn(p + 2, "abcdefghijklmnopqrstuvwxyz^");
    return p[n] == ':' && p[n + 1] == ']' ? n + 2 : 0;
}

/* Behind what may be repeated. True: it may be left out. */
static bool skip_repetition(struct scan *s)
{
    char c = *s->p;
    size_t n = c == '{' ? count_length(s->p) : c && strchr("*?+", c) ? 1 : 0;
    if (!n)
        return false;
    end_run(s);
    s->p += n;
    if (*s->p == '?')
        s->p++;
    return c != '+';
}

static void add_literal(struct scan *s, char c)
{
    bool is_repeated = *s->p == '*' || *s->p == '?' || (*s->p == '{' && count_length(s->p));
    if (is_repeated || s->run.n == PART_MAX)
        end_run(s);
    if (!is_repeated)
        s->run.text[s->run.n++] = c;
    skip_repetition(s);
}

/* "[^]a-z[:digit:]\]]" */
static void skip_class(struct scan *s)
{
    s->p += *s->p == '^';
    s->p += *s->p == ']';
    while (*s->p && *s->p != ']') {
        size_t n = class_name_length(s->p);
        if (n)
            s->p += n;
        else if (s->p[0] == '\\' && s->p[1])
            s->p += 2;
        else
            s->p++;
    }
    s->p += *s->p != 0;
}

static bool open_group(struct scan *s)
{
    end_run(s);
    if (s->p[0] == '?' && s->p[1] != ':')
        return false; /* flags: letters may no longer stand for themselves */
    s->p += s->p[0] == '?' ? 2 : 0;
    if (++s->depth == DEPTH_MAX)
        return false;
    s->groups[s->depth] = (struct group){0};
    return true;
}

static bool close_group(struct scan *s)
{
    end_run(s);
    if (!s->depth)
        return false;
    const struct group *g = &s->groups[s->depth--];
    bool is_optional = skip_repetition(s);
    struct part *best = &s->groups[s->depth].best;
    if (!is_optional && !g->has_alternatives && g->best.n > best->n)
        *best = g->best;
    return true;
}

/* False: this is more than is understood here. */
static bool scan_escape(struct scan *s)
{
    char c = *s->p;
    if (!c)
        return false;
    s->p++;
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!is_letter && !(c >= '0' && c <= '9')) {
        add_literal(s, c);
        return true;
    }
    end_run(s);
    skip_repetition(s);
    return strchr("dDwWsSbBAz", c) != NULL;
}

static bool scan_one(struct scan *s)
{
    char c = *s->p++;
    switch (c) {
    case '(':
        return open_group(s);
    case ')':
        return close_group(s);
    case '\\':
        return scan_escape(s);
    case '|':
        end_run(s);
        s->groups[s->depth].has_alternatives = true;
        return true;
    case '[':
        end_run(s);
        skip_class(s);
        skip_repetition(s);
        return true;
    case '.':
    case '^':
    case '$':
        end_run(s);
        skip_repetition(s);
        return true;
    default:
        add_literal(s, c);
        return true;
    }
}

bool conf_stat_pattern_part(const char *re2, struct sbuf *out)
{
    struct scan s = {.p = re2};
    while (*s.p)
        if (!scan_one(&s))
            return false;
    end_run(&s);
    const struct group *all = &s.groups[0];
    if (s.depth || all->has_alternatives || all->best.n < PART_MIN)
        return false;
    sbuf_add(out, all->best.text, all->best.n);
    return true;
}
