/* Messages between a process and its successor. Held to: what is taken is written back as the same
 * bytes, but for what lies behind the address. */
#include <stdlib.h>
#include <string.h>

#include "server/restart_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct restart_msg m, again;
    unsigned char bytes[RESTART_MSG_SIZE];
    if (restart_msg_read(data, size, &m))
        return 0;
    restart_msg_write(&m, bytes);
    if (restart_msg_read(bytes, sizeof(bytes), &again) || again.kind != m.kind ||
        again.worker != m.worker || again.addr.len != m.addr.len ||
        memcmp(&again.addr.ss, &m.addr.ss, m.addr.len) != 0)
        abort();
    return 0;
}
