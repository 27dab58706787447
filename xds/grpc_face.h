/* The border between the program and libremora-grpc.so: grpc.h as a table. loop_post is handed in,
 * because the library has no loop of its own. */
#ifndef XDS_GRPC_FACE_H
#define XDS_GRPC_FACE_H

#include "xds/grpc.h"

#define GRPC_FACE_SYMBOL "remora_grpc_face"
#define GRPC_FACE_LIBRARY "libremora-grpc.so"

struct grpc_face {
    size_t size; /* sizeof(struct grpc_face): program and library must be of one build */
    void (**loop_post)(struct loop *loop, struct loop_msg *m);
    int (*client_create)(const struct grpc_client_options *o, struct grpc_client **c_r,
                         struct error *err);
    void (*client_destroy)(struct grpc_client **c);
    bool (*client_is_ready)(struct grpc_client *c);
    struct grpc_stream *(*stream_open)(struct grpc_client *c, const char *method,
                                       const struct grpc_metadatum *metadata, size_t metadata_n,
                                       const struct grpc_stream_ops *ops);
    void (*stream_send)(struct grpc_stream *s, struct str bytes);
    size_t (*stream_queued)(const struct grpc_stream *s);
    void (*stream_close)(struct grpc_stream **s);
};

#endif
