/* ?resource= and ?mask= of /config_dump: "FIELD\nMASK". Held to: what is left was there before, at
 * the same place; a dump that is refused parts of stays whole. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "xds/dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ADMIN "type.googleapis.com/envoy.admin.v3."

static const char text[] =
    "[{\"@type\": \"" ADMIN "BootstrapConfigDump\", \"bootstrap\": {\"node\": {\"id\": \"n\","
    " \"locality\": {\"zone\": \"z\"}}}, \"last_updated\": \"t\"},"
    "{\"@type\": \"" ADMIN "ClustersConfigDump\", \"version_info\": \"v\", \"static_clusters\": ["
    "{\"cluster\": {\"@type\": \"type.googleapis.com/envoy.config.cluster.v3.Cluster\","
    " \"name\": \"o\", \"load_assignment\": {\"cluster_name\": \"a\", \"endpoints\": [{}]}},"
    " \"last_updated\": \"t\"}, {\"last_updated\": \"u\"}]},"
    "{\"@type\": \"" ADMIN "SecretsConfigDump\"}, {\"@type\": \"none.Such\", \"name\": \"x\"}]";

static void check_part(const json_t *part, const json_t *whole)
{
    const char *key;
    json_t *value;
    if (!json_is_object(part)) {
        if (!json_equal(part, whole))
            abort();
        return;
    }
    json_object_foreach((json_t *)part, key, value) check_part(value, json_object_get(whole, key));
}

/* Elements may have got a "@type". */
static void check_element(json_t *part, const json_t *whole)
{
    json_object_del(part, "@type");
    check_part(part, whole);
}

static void mask_elements(json_t *all, const char *field, const char *mask)
{
    json_t *sections = json_deep_copy(all);
    enum dump_result result = dump_take_resource(&sections, field);
    if (result != DUMP_OK && !json_equal(sections, all))
        abort();
    json_t *whole = json_deep_copy(sections);
    if (result == DUMP_OK && dump_mask_elements(sections, mask))
        for (size_t i = 0; i < json_array_size(whole); i++)
            check_element(json_array_get(sections, i), json_array_get(whole, i));
    json_decref(whole);
    json_decref(sections);
}

static void mask_sections(json_t *all, const char *mask)
{
    json_t *sections = json_deep_copy(all), *part;
    size_t i, k = 0;
    if (!dump_mask_sections(&sections, mask) && json_array_size(sections))
        abort();
    json_array_foreach(sections, i, part)
    {
        const json_t *type = json_object_get(part, "@type");
        while (!json_equal(type, json_object_get(json_array_get(all, k), "@type")))
            k++;
        check_part(part, json_array_get(all, k));
    }
    json_decref(sections);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = mem_strndup((const char *)data, size);
    char *mask = strchr(copy, '\n');
    json_t *all = json_loads(text, 0, NULL);
    if (!all)
        abort();
    if (mask) {
        *mask++ = 0;
        mask_elements(all, copy, mask);
        mask_sections(all, mask);
    }
    json_decref(all);
    mem_free(copy);
    return 0;
}
