#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/snapshot.h"

static int refs(const void *object)
{
    return ((const struct conf_object *)object)->refs;
}

static void test_parts_are_shared(void **state)
{
    (void)state;
    struct conf_listener *l = conf_listener_create("l");
    struct conf_cluster *c = conf_cluster_create("c");
    struct conf_endpoints *e = conf_object_create(sizeof(*e), "c");
    struct conf_cluster_entry *entry = conf_cluster_entry_create(c, e);
    struct conf_route_config *r = conf_route_config_create("r");
    struct snapshot *first = snapshot_copy(NULL);
    snapshot_set_listener(first, "l", l);
    snapshot_set_cluster(first, "c", entry);
    snapshot_set_route(first, "r", r);
    struct snapshot *second = snapshot_copy(first);
    assert_int_equal(first->generation, 1);
    assert_int_equal(second->generation, 2);
    assert_int_equal(refs(l), 3);
    assert_int_equal(refs(entry), 3);
    assert_int_equal(refs(r), 3);
    assert_int_equal(refs(c), 2);
    assert_ptr_equal(snapshot_listener(second, "l"), l);
    assert_ptr_equal(snapshot_cluster(second, STR("c")), entry);
    assert_ptr_equal(snapshot_route(second, STR("r")), r);
    snapshot_unref(first);
    assert_int_equal(refs(l), 2);
    snapshot_unref(second);
    assert_int_equal(refs(l), 1);
    assert_int_equal(refs(r), 1);
    conf_object_unref(entry);
    assert_int_equal(refs(c), 1);
    assert_int_equal(refs(e), 1);
    conf_object_unref(l);
    conf_object_unref(c);
    conf_object_unref(e);
    conf_object_unref(r);
}

static void test_change_leaves_the_base_alone(void **state)
{
    (void)state;
    struct conf_route_config *old = conf_route_config_create("r");
    struct conf_route_config *new = conf_route_config_create("r");
    struct snapshot *first = snapshot_copy(NULL);
    snapshot_set_route(first, "r", old);
    struct snapshot *second = snapshot_copy(first);
    snapshot_set_route(second, "r", new);
    assert_ptr_equal(snapshot_route(first, STR("r")), old);
    assert_ptr_equal(snapshot_route(second, STR("r")), new);
    snapshot_set_route(second, "r", new);
    assert_int_equal(refs(new), 2);
    snapshot_set_route(second, "r", NULL);
    snapshot_set_route(second, "none", NULL);
    assert_null(snapshot_route(second, STR("r")));
    assert_int_equal(refs(new), 1);
    snapshot_unref(second);
    snapshot_unref(first);
    conf_object_unref(old);
    conf_object_unref(new);
}

static void test_listeners(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    struct snapshot *s = snapshot_copy(NULL);
    struct conf_listener *l[ARRAY_LEN(names)];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        l[i] = conf_listener_create(names[i]);
        snapshot_set_listener(s, names[i], l[i]);
    }
    assert_int_equal(s->listeners_n, 3);
    snapshot_set_listener(s, "a", NULL);
    snapshot_set_listener(s, "none", NULL);
    assert_int_equal(s->listeners_n, 2);
    assert_null(snapshot_listener(s, "a"));
    assert_ptr_equal(snapshot_listener(s, "b"), l[1]);
    assert_ptr_equal(snapshot_listener(s, "c"), l[2]);
    struct conf_listener *again = conf_listener_create("b");
    snapshot_set_listener(s, "b", again);
    assert_int_equal(s->listeners_n, 2);
    assert_ptr_equal(snapshot_listener(s, "b"), again);
    assert_int_equal(refs(l[1]), 1);
    conf_object_unref(again);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        conf_object_unref(l[i]);
    snapshot_unref(s);
}

static void note_slot(const struct conf_slot_use *use, void *arg)
{
    sbuf_printf(arg, "%s%s%s%s;", use->slot, use->is_network ? " network" : "",
                use->is_discovered ? " discovered" : "", use->plugin ? " inline" : "");
}

static void note_rds(const struct conf_hcm *hcm, const char *name, const struct conf_source *source,
                     void *arg)
{
    (void)hcm;
    (void)source;
    sbuf_printf(arg, "%s;", name);
}

static void test_visits(void **state)
{
    (void)state;
    struct conf_listener *l = conf_listener_create("l");
    struct arena *a = &l->object.arena;
    struct conf_hcm *hcm = arena_zalloc(a, sizeof(*hcm));
    struct sbuf seen = {0};
    l->chains = arena_zalloc(a, sizeof(*l->chains));
    l->chains_n = 1;
    l->chains[0].filters = arena_zalloc(a, sizeof(*l->chains[0].filters));
    l->chains[0].filters_n = 1;
    l->chains[0].filters[0] = (struct conf_net_filter){.kind = CONF_NET_HCM, .hcm = hcm};
    hcm->rds_name = "r";
    hcm->filters = arena_zalloc(a, 2 * sizeof(*hcm->filters));
    hcm->filters_n = 2;
    hcm->filters[0] = (struct conf_http_filter){
        .kind = CONF_HTTP_WASM,
        .slot = "l/0/w",
        .plugin = conf_object_create(sizeof(struct conf_plugin), "l/0/w")};
    hcm->filters[1] = (struct conf_http_filter){.kind = CONF_HTTP_ROUTER};
    l->default_chain = arena_zalloc(a, sizeof(*l->default_chain));
    l->default_chain->filters = arena_zalloc(a, sizeof(*l->default_chain->filters));
    l->default_chain->filters_n = 1;
    l->default_chain->filters[0] =
        (struct conf_net_filter){.kind = CONF_NET_WASM, .slot = "ecds", .is_discovered = true};
    conf_listener_each_slot(l, note_slot, &seen);
    conf_listener_each_rds(l, note_rds, &seen);
    assert_string_equal(seen.p, "l/0/w inline;ecds network discovered;r;");
    sbuf_fini(&seen);
    conf_object_unref(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_shared),
        cmocka_unit_test(test_change_leaves_the_base_alone),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_visits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
