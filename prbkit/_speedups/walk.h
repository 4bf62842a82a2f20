/* Length walks over the fixed SCALE layouts that a bridge handles, every read checked against the
 * end. Plain C without Python. A walk that fails returns -1, and the position and `wrong` say
 * where and why. */

#ifndef PRBKIT_WALK_H
#define PRBKIT_WALK_H

#include "compact.h"

#define PRBKIT_HASH 32

enum prbkit_walk_error {
    PRBKIT_WALK_SHORT = 1, /* `wanted` bytes are wanted */
    PRBKIT_WALK_COMPACT,   /* `text` says what is wrong with a length */
    PRBKIT_WALK_OPTION,    /* no Option begins with the byte here */
    PRBKIT_WALK_LOG,       /* no digest item begins with the byte here */
    PRBKIT_WALK_NUMBER,    /* block `wanted` is wanted */
    PRBKIT_WALK_JUSTIFIED, /* a justification stands where none should */
};

typedef struct {
    const uint8_t *start, *p, *end;
    int wrong;
    size_t wanted;
    const char *text;
} prbkit_walk;

static inline int prbkit_walk_skip(prbkit_walk *w, size_t n) {
    if ((size_t)(w->end - w->p) < n) {
        w->wrong = PRBKIT_WALK_SHORT;
        w->wanted = n;
        return -1;
    }
    w->p += n;
    return 0;
}

/* A compact of 32 bits: a length or a block number. */
static inline int prbkit_walk_length(prbkit_walk *w, size_t *n) {
    const char *text = prbkit_read_compact(&w->p, w->end, n);
    if (!text) return 0;
    w->wrong = PRBKIT_WALK_COMPACT;
    w->text = text;
    return -1;
}

static inline int prbkit_walk_blob(prbkit_walk *w) {
    size_t n = 0;
    return prbkit_walk_length(w, &n) || prbkit_walk_skip(w, n) ? -1 : 0;
}

/* An Option's first byte; `some` is 1 where a value follows. */
static inline int prbkit_walk_option(prbkit_walk *w, int *some) {
    if (prbkit_walk_skip(w, 1)) return -1;
    if (w->p[-1] > 1) {
        w->p--;
        w->wrong = PRBKIT_WALK_OPTION;
        return -1;
    }
    *some = w->p[-1];
    return 0;
}

static inline int prbkit_walk_log(prbkit_walk *w) {
    if (prbkit_walk_skip(w, 1)) return -1;
    switch (w->p[-1]) {
    case 4: /* Consensus, Seal, PreRuntime: an engine id of 4 bytes, then data */
    case 5:
    case 6:
        return prbkit_walk_skip(w, 4) || prbkit_walk_blob(w) ? -1 : 0;
    case 0: /* Other */
        return prbkit_walk_blob(w);
    case 8: /* RuntimeEnvironmentUpdated */
        return 0;
    default:
        w->p--;
        w->wrong = PRBKIT_WALK_LOG;
        return -1;
    }
}

static inline int prbkit_walk_header(prbkit_walk *w) {
    size_t n = 0;
    if (prbkit_walk_skip(w, PRBKIT_HASH) || prbkit_walk_length(w, &n) ||
        prbkit_walk_skip(w, 2 * PRBKIT_HASH) || prbkit_walk_length(w, &n))
        return -1;
    for (; n; n--)
        if (prbkit_walk_log(w)) return -1;
    return 0;
}

/* So many headers of any numbers. */
static int prbkit_walk_headers(prbkit_walk *w, size_t count) {
    for (; count; count--)
        if (prbkit_walk_header(w)) return -1;
    return 0;
}

/* So many HeaderToSyncs without justification, of the blocks first, first + 1, … */
static int prbkit_walk_relay(prbkit_walk *w, size_t first, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *mark = w->p;
        size_t number = 0;
        int some = 0;
        if (prbkit_walk_skip(w, PRBKIT_HASH) || prbkit_walk_length(w, &number)) return -1;
        if (number != first + i) {
            w->wrong = PRBKIT_WALK_NUMBER;
            w->wanted = first + i;
            return -1;
        }
        w->p = mark;
        if (prbkit_walk_header(w) || prbkit_walk_option(w, &some)) return -1;
        if (some) {
            w->wrong = PRBKIT_WALK_JUSTIFIED;
            return -1;
        }
    }
    return 0;
}

/* A collection of (key, Option<value>). */
static int prbkit_walk_changes(prbkit_walk *w) {
    size_t n = 0;
    int some = 0;
    if (prbkit_walk_length(w, &n)) return -1;
    for (; n; n--)
        if (prbkit_walk_blob(w) || prbkit_walk_option(w, &some) || (some && prbkit_walk_blob(w)))
            return -1;
    return 0;
}

static int prbkit_walk_storage_changes(prbkit_walk *w) {
    size_t n = 0;
    if (prbkit_walk_changes(w) || prbkit_walk_length(w, &n)) return -1;
    for (; n; n--)
        if (prbkit_walk_blob(w) || prbkit_walk_changes(w)) return -1;
    return 0;
}

#endif
