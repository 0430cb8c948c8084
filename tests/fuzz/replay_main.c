/* Runs a fuzz target over the files of directories: the corpus as a regression test, without libFuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

enum { MAX_FILE = 1024 * 1024, MAX_PATH = 4096 };

static void run_file(const char *path)
{
    static uint8_t buffer[MAX_FILE];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size_t size = fread(buffer, 1, sizeof buffer, file);
    (void)fclose(file);
    uint8_t *exact = malloc(size == 0 ? 1 : size); /* so that a sanitizer sees one byte too many */
    REQUIRE(exact != NULL);
    memcpy(exact, buffer, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static size_t run_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        perror(path);
        exit(1);
    }
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) { /* one thread */
        char file[MAX_PATH];
        if (entry->d_name[0] == '.')
            continue;
        int len = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        REQUIRE(len > 0 && len < MAX_PATH);
        run_file(file);
        count++;
    }
    (void)closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        count += run_directory(argv[i]);
    (void)printf("%zu inputs\n", count);
    return count > 0 ? 0 : 1; /* an empty corpus proves nothing */
}
