#include "upstream/pool.h"
#include "http/own_private.h"
#include "net/loop.h"
#include "net/loop_private.h"
#include "net/absent.pb-c.h"
#include <openssl/ssl.h>
