#include "conf/http2.h"

enum { KIB = 1024, MIB = 1024 * KIB };

void conf_http2_defaults(struct conf_http2 *o)
{
    *o = (struct conf_http2){
        .hpack_table_size = 4096,
        .max_concurrent_streams = 1024,
        .stream_window = 16 * MIB,
        .connection_window = 24 * MIB,
        .max_outbound_frames = 10000,
        .max_outbound_control_frames = 1000,
        .max_empty_frames = 1,
        .max_priority_frames = 100,
        .max_window_updates = 10,
    };
}
