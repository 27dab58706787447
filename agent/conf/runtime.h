/* Runtime values: keys and what several layers say of them, the last layer first heard. Immutable,
 * part of the snapshot. Source: envoy.config.bootstrap.v3.LayeredRuntime; Envoy's
 * Runtime::Snapshot. */
#ifndef CONF_RUNTIME_H
#define CONF_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "conf/object.h"

enum { RUNTIME_LAYERS_MAX = 16 };

/* A share: numerator of 100, 10,000 or 1,000,000. */
struct runtime_fraction {
    uint32_t numerator, denominator;
};

struct runtime_value {
    const char *key;
    const char *text;                       /* of the last layer that has the key */
    const char *layers[RUNTIME_LAYERS_MAX]; /* of each; NULL: it has none */
    double number;
    bool is_number, is_bool, boolean, is_fraction;
    struct runtime_fraction fraction;
};

struct runtime {
    struct conf_object object;
    const char *layers[RUNTIME_LAYERS_MAX]; /* names, first to last */
    size_t layers_n;
    struct hash values; /* key -> struct runtime_value, in the arena */
};

/* One without values. Layers are added first to last, then their values. [main] */
struct runtime *runtime_create(void);
/* False when there are too many. */
bool runtime_add_layer(struct runtime *r, const char *name);
/* Of the layer that was added last. fraction NULL: the text alone says what the value is. */
void runtime_set(struct runtime *r, struct str key, const char *text,
                 const struct runtime_fraction *fraction);

/* [any] r may be NULL; an absent key, or a value of another type, gives def. */
uint64_t runtime_integer(const struct runtime *r, struct str key, uint64_t def);
double runtime_double(const struct runtime *r, struct str key, double def);
bool runtime_boolean(const struct runtime *r, struct str key, bool def);
const char *runtime_text(const struct runtime *r, struct str key, const char *def);
/* What to compare a random number's remainder with. An integer counts in hundredths. */
struct runtime_fraction runtime_share(const struct runtime *r, struct str key,
                                      struct runtime_fraction def);
const struct runtime_value *runtime_find(const struct runtime *r, struct str key);

#endif
