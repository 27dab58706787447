/* Loads gRPC at first use and forwards grpc.h to it. */
#include "base/dynlib.h"
#include "xds/grpc_face.h"

static const struct grpc_face *face;

int grpc_client_create(const struct grpc_client_options *o, struct grpc_client **c_r,
                       struct error *err)
{
    if (!face) {
        face = dynlib_load(GRPC_FACE_LIBRARY, "xds/", "REMORA_GRPC_LIB", GRPC_FACE_SYMBOL,
                           sizeof(*face), err);
        if (!face)
            return -(int)err->code;
        *face->loop_post = loop_post;
    }
    return face->client_create(o, c_r, err);
}

void grpc_client_destroy(struct grpc_client **c)
{
    if (*c)
        face->client_destroy(c);
}

bool grpc_client_is_ready(struct grpc_client *c)
{
    return face->client_is_ready(c);
}

struct grpc_stream *grpc_stream_open(struct grpc_client *c, const char *method,
                                     const struct grpc_metadatum *metadata, size_t metadata_n,
                                     const struct grpc_stream_ops *ops)
{
    return face->stream_open(c, method, metadata, metadata_n, ops);
}

void grpc_stream_send(struct grpc_stream *s, struct str bytes)
{
    face->stream_send(s, bytes);
}

size_t grpc_stream_queued(const struct grpc_stream *s)
{
    return face->stream_queued(s);
}

void grpc_stream_close(struct grpc_stream **s)
{
    if (*s)
        face->stream_close(s);
}
