#include "base/version.h"

#include "base/str.h"

#define REVISION "remora"
#define STATUS "Clean"
#define BUILD_TYPE "RELEASE"
#define TLS "OpenSSL"

const char version_text[] = REVISION "/" REMORA_VERSION "/" STATUS "/" BUILD_TYPE "/" TLS;
const char version_revision[] = REVISION;
const char version_status[] = STATUS;
const char version_build_type[] = BUILD_TYPE;
const char version_tls[] = TLS;

void version_numbers(uint32_t numbers_r[VERSION_PARTS])
{
    struct str rest = STR(REMORA_VERSION), part;
    for (int i = 0; i < VERSION_PARTS; i++) {
        uint64_t n = 0;
        if (str_next(&rest, '.', &part))
            str_to_u64(part, UINT32_MAX, &n);
        numbers_r[i] = (uint32_t)n;
    }
}
