#include "http/stream.h"
#include "wasm/rollout.h"
#include "conf/route.h"
#include <grpc/grpc.h>
#include <curl/curl.h>
