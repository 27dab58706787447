/* The first bytes of a connection. Held to: nothing outside the input is read; more bytes never
 * turn something that is no ClientHello into one; what is found consists of terminated strings. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client_hello out;
    uint8_t *copy = mem_alloc(size ? size : 1); /* exact, so that a byte too far is seen */
    memcpy(copy, data, size);
    enum client_hello_result half = client_hello_parse(copy, size / 2, &out);
    enum client_hello_result whole = client_hello_parse(copy, size, &out);
    if (half == CLIENT_HELLO_NONE && whole == CLIENT_HELLO_FOUND)
        abort();
    if (whole == CLIENT_HELLO_FOUND) {
        if (strlen(out.server_name) > CLIENT_HELLO_NAME_MAX)
            abort();
        for (size_t i = 0; i < out.protocols_n; i++)
            if (!strlen(out.protocols[i]))
                abort();
    }
    mem_free(copy);
    return 0;
}
