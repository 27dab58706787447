#include "base/dynlib.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"

static void *open_at(struct str folder, const char *below, const char *library, struct sbuf *tried)
{
    struct sbuf path = {0};
    void *lib = NULL;
    sbuf_printf(&path, "%.*s%s%s", STR_ARG(folder), below, library);
    /* Only a file that is there and cannot be loaded makes a text worth showing. */
    if (access(path.p, R_OK) == 0) {
        lib = dlopen(path.p, RTLD_NOW | RTLD_LOCAL);
        if (!lib)
            sbuf_printf(tried, ": %s", dlerror());
    }
    sbuf_fini(&path);
    return lib;
}

static void *open_beside_program(const char *library, const char *folder, struct sbuf *tried)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    while (n > 0 && self[n - 1] != '/')
        n--;
    if (n <= 0)
        return NULL;
    struct str own = {self, (size_t)n};
    void *lib = open_at(own, "", library, tried);
    if (!lib)
        lib = open_at(own, folder, library, tried);
    return lib ? lib : open_at(own, "../lib/remora/", library, tried);
}

const void *dynlib_load(const char *library, const char *folder, const char *env,
                        const char *symbol, size_t size, struct error *err)
{
    struct sbuf tried = {0};
    const char *given = secure_getenv(env);
    void *lib =
        given ? dlopen(given, RTLD_NOW | RTLD_LOCAL) : open_beside_program(library, folder, &tried);
    const size_t *face = lib ? dlsym(lib, symbol) : NULL;
    if (!lib)
        error_set(err, ERR_NOT_FOUND, "cannot load %s%s", library,
                  given     ? dlerror()
                  : tried.p ? tried.p
                            : ": it does not stand beside the program");
    else if (!face || *face != size)
        error_set(err, ERR_INVALID, "%s is of another build", library);
    sbuf_fini(&tried);
    return face && *face == size ? face : NULL;
}
