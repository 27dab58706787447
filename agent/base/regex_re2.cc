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
