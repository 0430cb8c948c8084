/* A program to run as plain data: backends describe it, the server runs it. */
#ifndef ACME_BASE_PROGRAM_CALL_H
#define ACME_BASE_PROGRAM_CALL_H

#include "base/arena.h"

enum {
    ACME_PROGRAM_MAX_ARGUMENTS = 32,
    ACME_PROGRAM_MAX_VARIABLES = 32,
    ACME_PROGRAM_OUTPUT_BYTES = 4096 /* of stdout and stderr together, the last ones */
};

struct acme_program_call {
    const char *arguments[ACME_PROGRAM_MAX_ARGUMENTS]; /* the first one is the program, an absolute path */
    size_t argument_count;
    struct {
        const char *name;
        const char *value;
    } variables[ACME_PROGRAM_MAX_VARIABLES]; /* its environment; besides, it gets PATH and nothing else */
    size_t variable_count;
    struct acme_bytes input; /* of its stdin; data NULL: none */
    int timeout_ms;          /* then it is killed, with what it started; 0: 60 s */
};

struct acme_program_result {
    bool timed_out;
    int exit_code;      /* 0..255; -1: ended by a signal, or timed out */
    int signal;         /* 0: none */
    const char *output; /* what it wrote, printable, NUL-terminated */
};

#endif
