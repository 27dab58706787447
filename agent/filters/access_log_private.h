/* Between access_log.c and access_log_writer.c. */
#ifndef FILTERS_ACCESS_LOG_PRIVATE_H
#define FILTERS_ACCESS_LOG_PRIVATE_H

#include "filters/access_log.h"

/* The way of one worker's lines to one file. Belongs to the writer, for the life of the process. */
struct log_lane;

/* [worker] That of the calling thread, and of no other. */
struct log_lane *access_log_lane(struct access_log_writer *w, const struct conf_access_log *c);
/* [worker] Without a lock, and without waiting for anybody. */
void access_log_lane_add(struct access_log_writer *w, struct log_lane *lane, struct str line);

#endif
