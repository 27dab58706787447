/* Runs a fuzz target over the files of its corpus, for compilers without libFuzzer and as a unit
 * test. usage: replay FOLDER-or-FILE... */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"

enum { FILE_SIZE_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 0;
    }
    char *bytes = mem_alloc(FILE_SIZE_MAX);
    size_t n = fread(bytes, 1, FILE_SIZE_MAX, f);
    fclose(f);
    uint8_t *exact = mem_dup(bytes, n); /* so that a sanitizer sees reads behind the end */
    mem_free(bytes);
    LLVMFuzzerTestOneInput(exact, n);
    mem_free(exact);
    return 1;
}

static unsigned run_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return run_file(path);
    unsigned runs = 0;
    struct dirent *e;
    while ((e = readdir(dir))) {
        char file[4096];
        struct stat st;
        if (snprintf(file, sizeof(file), "%s/%s", path, e->d_name) < (int)sizeof(file) &&
            stat(file, &st) == 0 && S_ISREG(st.st_mode))
            runs += run_file(file);
    }
    closedir(dir);
    return runs;
}

int main(int argc, char **argv)
{
    unsigned runs = 0;
    for (int i = 1; i < argc; i++)
        runs += run_folder(argv[i]);
    printf("%u inputs\n", runs);
    return runs ? 0 : 1;
}
