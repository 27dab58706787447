#include <re2/re2.h>

#include <new>

extern "C" {
#include "base/mem.h"
#include "base/regex.h"
}

struct regex {
    RE2 re;
    regex(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options) {}
};

int regex_create(struct str pattern, struct regex **re_r, struct error *err)
{
    RE2::Options options;
    options.set_log_errors(false);
    /* Bytes, so that '.' stands for each of them, also where they are no UTF-8. */
    options.set_encoding(RE2::Options::EncodingLatin1);
    options.set_max_mem(1 << 20);
    struct regex *re = new (mem_alloc(sizeof(*re)))
        regex(re2::StringPiece(pattern.p ? pattern.p : "", pattern.n), options);
    if (!re->re.ok()) {
        int e = error_set(err, ERR_INVALID, "regex: %s", re->re.error().c_str());
        regex_destroy(&re);
        return e;
    }
    *re_r = re;
    return 0;
}

void regex_destroy(struct regex **re)
{
    if (!*re)
        return;
    (*re)->~regex();
    mem_free(*re);
    *re = nullptr;
}

bool regex_match(const struct regex *re, struct str text)
{
    return RE2::FullMatch(re2::StringPiece(text.p ? text.p : "", text.n), re->re);
}

bool regex_search(const struct regex *re, struct str text)
{
    return RE2::PartialMatch(re2::StringPiece(text.p ? text.p : "", text.n), re->re);
}

unsigned regex_groups(const struct regex *re)
{
    return (unsigned)re->re.NumberOfCapturingGroups();
}

bool regex_find(const struct regex *re, struct str text, struct str *groups, size_t n)
{
    enum { MAX = 10 };
    re2::StringPiece all(text.p ? text.p : "", text.n), found[MAX];
    size_t there = regex_groups(re) + 1;
    there = there > MAX ? (size_t)MAX : there;
    there = there > n ? n : there;
    if (!re->re.Match(all, 0, text.n, RE2::UNANCHORED, found, (int)there))
        return false;
    for (size_t i = 0; i < n; i++) {
        groups[i].p = i < there ? found[i].data() : nullptr;
        groups[i].n = i < there ? found[i].size() : 0;
    }
    return true;
}

int regex_check_substitution(const struct regex *re, struct str to, struct error *err)
{
    std::string why;
    if (re->re.CheckRewriteString(re2::StringPiece(to.p ? to.p : "", to.n), &why))
        return 0;
    return error_set(err, ERR_INVALID, "%s", why.c_str());
}

static void substitute(const re2::StringPiece *groups, struct str to, struct sbuf *out)
{
    for (size_t i = 0; i < to.n; i++) {
        if (to.p[i] != '\\' || i + 1 == to.n) {
            sbuf_addc(out, to.p[i]);
            continue;
        }
        char c = to.p[++i];
        if (c >= '0' && c <= '9' && !groups[c - '0'].empty())
            sbuf_add(out, groups[c - '0'].data(), groups[c - '0'].size());
        else if (c == '\\')
            sbuf_addc(out, c);
    }
}

bool regex_replace(const struct regex *re, struct str text, struct str to, size_t max,
                   struct sbuf *out)
{
    re2::StringPiece all(text.p ? text.p : "", text.n), groups[10];
    size_t at = 0, begin = out->n;
    bool after_match = false;
    int n = re->re.NumberOfCapturingGroups() + 1;
    while (at <= text.n &&
           re->re.Match(all, at, text.n, RE2::UNANCHORED, groups, n > 10 ? 10 : n)) {
        size_t from = (size_t)(groups[0].data() - all.data());
        if (groups[0].empty() && after_match && from == at) {
            /* An empty match right behind the last one does not count. */
            if (at == text.n)
                break;
            sbuf_addc(out, text.p[at++]);
            after_match = false;
            continue;
        }
        sbuf_add(out, text.p + at, from - at);
        substitute(groups, to, out);
        at = from + groups[0].size();
        after_match = true;
        if (out->n - begin > max)
            return false;
    }
    sbuf_add(out, text.p + at, text.n - at);
    return out->n - begin <= max;
}
