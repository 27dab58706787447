#include "wasm/stage.h"

#include "wasm/rollout.h"

const char *stage_text(enum stage s)
{
    static const char *const texts[] = {
#define X(name, text) [STAGE_##name] = text,
        STAGE_MAP(X)
#undef X
    };
    return texts[s];
}

const char *plugin_state_text(enum plugin_state s)
{
    static const char *const texts[] = {
#define X(name, text) [PLUGIN_##name] = text,
        PLUGIN_STATE_MAP(X)
#undef X
    };
    return texts[s];
}

bool stage_error_is_passing(const struct stage_error *e)
{
    if (e->stage == STAGE_FETCH || e->stage == STAGE_VERIFY)
        return true;
    return e->err.code == ERR_IO || e->err.code == ERR_AGAIN || e->err.code == ERR_INTERNAL ||
           e->err.code == ERR_CLOSED;
}
