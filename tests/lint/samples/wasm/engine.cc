#include <v8.h>
#include "proto/pb.h"
