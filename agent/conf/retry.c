#include "conf/retry.h"

#include "base/mem.h"
#include "base/regex.h"

static const struct {
    const char *text;
    bool is_grpc;
    uint32_t bit;
} words[] = {
#define X(name, text, is_grpc) {text, is_grpc, CONF_RETRY_##name},
    CONF_RETRY_MAP(X)
#undef X
};

uint32_t conf_retry_parse(struct str list, bool is_grpc)
{
    struct str word;
    uint32_t on = 0;
    while (str_next(&list, ',', &word))
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (words[i].is_grpc == is_grpc && str_is(str_trim(word), words[i].text))
                on |= words[i].bit;
    return on;
}

void conf_retry_fini(const struct conf_retry_policy *p)
{
    for (size_t i = 0; p && i < p->headers_n; i++)
        regex_destroy(&p->headers[i].string.regex);
    for (size_t i = 0; p && i < p->request_headers_n; i++)
        regex_destroy(&p->request_headers[i].string.regex);
}
