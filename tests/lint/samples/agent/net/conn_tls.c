#include "base/mem.h"
#include <openssl/ssl.h>
