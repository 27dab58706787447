#include "conf/local_reply.h"

#include "base/regex.h"

void conf_log_filter_fini(struct conf_log_filter *f)
{
    if (!f)
        return;
    regex_destroy(&f->header.string.regex);
    for (size_t i = 0; i < f->filters_n; i++)
        conf_log_filter_fini(&f->filters[i]);
}

void conf_local_reply_fini(struct conf_local_reply *r)
{
    for (size_t i = 0; r && i < r->mappers_n; i++)
        conf_log_filter_fini(r->mappers[i].filter);
}
