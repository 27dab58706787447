#include "http/stream.h"
#include "upstream/upstream.h"

static const struct {
    const char *text;
    uint32_t flag;
} resets[] = {
    [UPSTREAM_RESET_CONNECT_FAILED] = {"remote connection failure",
                                       FLAG_UPSTREAM_CONNECTION_FAILURE},
    [UPSTREAM_RESET_CONNECT_TIMEOUT] = {"connection timeout", FLAG_UPSTREAM_CONNECTION_FAILURE},
    [UPSTREAM_RESET_TERMINATED] = {"connection termination", FLAG_UPSTREAM_CONNECTION_TERMINATION},
    [UPSTREAM_RESET_OVERFLOW] = {"overflow", FLAG_UPSTREAM_OVERFLOW},
    [UPSTREAM_RESET_PROTOCOL] = {"protocol error", FLAG_UPSTREAM_PROTOCOL_ERROR},
    [UPSTREAM_RESET_LOCAL] = {"local reset", FLAG_LOCAL_RESET},
    [UPSTREAM_RESET_LOCAL_REFUSED] = {"local refused stream reset", FLAG_LOCAL_RESET},
    [UPSTREAM_RESET_REMOTE] = {"remote reset", FLAG_UPSTREAM_REMOTE_RESET},
    [UPSTREAM_RESET_REMOTE_REFUSED] = {"remote refused stream reset", FLAG_UPSTREAM_REMOTE_RESET},
    [UPSTREAM_RESET_CONNECT] = {"remote error with CONNECT request", FLAG_UPSTREAM_REMOTE_RESET},
};

const char *upstream_reset_text(enum upstream_reset r)
{
    return resets[r].text;
}

uint32_t upstream_reset_flag(enum upstream_reset r)
{
    return resets[r].flag;
}
