#include "conf/secret.h"

#include "base/mem.h"
#include "base/regex.h"

static void fini_secret(struct conf_object *o)
{
    struct conf_secret *s = container_of(o, struct conf_secret, object);
    for (size_t i = 0; i < s->regexes_n; i++)
        regex_destroy(&s->regexes[i]);
    arena_wipe(&o->arena);
}

struct conf_secret *conf_secret_create(const char *name, enum conf_secret_kind kind)
{
    struct conf_secret *s = conf_object_create(sizeof(*s), name);
    s->object.fini = fini_secret;
    s->kind = kind;
    s->validation.max_depth = -1;
    return s;
}
