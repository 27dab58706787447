/* Tags of a statistic: a line with an expression of the configuration, then a name. Held to: values
 * and what is cut lie in the name, the rest is the name without them, no label stands twice, and
 * the text that a match must hold keeps none away. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/regex.h"
#include "conf/stat_tags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_left_of(struct str rest, struct str name)
{
    size_t at = 0;
    for (size_t i = 0; i < name.n && at < rest.n; i++)
        at += rest.p[at] == name.p[i];
    return at == rest.n;
}

static void check(struct conf_stat_tags *t, struct str name)
{
    struct conf_stat_label *labels = mem_alloc((t->n + 1) * sizeof(*labels));
    struct sbuf rest = {0};
    size_t n = conf_stat_tags_find(t, name, labels, &rest);
    if (n > t->n || !is_left_of((struct str){rest.p, rest.n}, name))
        abort();
    for (size_t i = 0; i < n; i++) {
        struct str v = labels[i].value;
        if (v.n && (v.p < name.p || v.p + v.n > name.p + name.n))
            abort();
        for (size_t k = 0; k < i; k++)
            if (!strcmp(labels[i].name, labels[k].name))
                abort();
    }
    sbuf_fini(&rest);
    mem_free(labels);
}

/* Is it found with the part that a match must hold, where it is found without? */
static void check_part(const char *pattern, struct str name)
{
    struct conf_stat_tag tag = {.name = "t", .pattern = pattern};
    struct sbuf part = {0};
    struct str groups[1];
    struct error err;
    if (regex_create(str_of(pattern), &tag.regex, &err))
        return;
    if (conf_stat_pattern_part(pattern, &part) && regex_find(tag.regex, name, groups, 1) &&
        !memmem(name.p, name.n, part.p, part.n))
        abort();
    sbuf_fini(&part);
    regex_destroy(&tag.regex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf_stat_tags defaults;
    struct conf_stat_tags t = {0};
    struct sbuf pattern = {0};
    struct error err;
    char *copy = mem_strndup((const char *)data, size);
    struct str rest = {copy, size}, line;
    if (!defaults.n)
        conf_stat_tags_add_default(&defaults, NULL);
    if (str_next(&rest, '\n', &line)) {
        char *ecma = mem_strndup(line.p, line.n);
        sbuf_addz(&pattern, "");
        conf_stat_pattern(ecma, &pattern);
        mem_free(ecma);
        struct conf_stat_tag tag = {.name = "envoy.cluster_name", .pattern = pattern.p};
        if (!regex_create(str_of(tag.pattern), &tag.regex, &err)) {
            conf_stat_tags_add(&t, &tag);
            conf_stat_tags_add_default(&t, "envoy.cluster_name");
        }
        if (!rest.p)
            rest = STR("");
        check_part(pattern.p, rest);
        check(&t, rest);
        check(&defaults, rest);
    }
    conf_stat_tags_fini(&t);
    sbuf_fini(&pattern);
    mem_free(copy);
    return 0;
}
