#include "conf/route.h"
#include <openssl/ssl.h>
