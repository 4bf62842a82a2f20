/* Skipping a value by a tree of C structs that the plans of its types make: no frames are kept and
 * no error is made. NULL says that the value is wrong or holds what is not done here; the plans'
 * own skip then says which. What is accepted here, that accepts too. */

#ifndef PRBKIT_SKIP_H
#define PRBKIT_SKIP_H

#include "compact.h"

/* Deeper values are left to the plans, whose limit is higher. */
#define PRBKIT_SKIP_DEPTH 128

enum prbkit_skip_op {
    PRBKIT_SKIP_PLAN = 0, /* left to the plan */
    PRBKIT_SKIP_FIXED,    /* `size` bytes, whatever they are */
    PRBKIT_SKIP_BOOL,
    PRBKIT_SKIP_COMPACT, /* of at most `size` bytes */
    PRBKIT_SKIP_BYTES,
    PRBKIT_SKIP_TEXT,
    PRBKIT_SKIP_SEQUENCE, /* a count, then that many of `inner` */
    PRBKIT_SKIP_ARRAY,    /* `count` of `inner` */
    PRBKIT_SKIP_FIELDS,   /* `count` of `parts` */
    PRBKIT_SKIP_OPTION,
    PRBKIT_SKIP_VARIANT, /* one of `count` `cases` */
};

typedef struct prbkit_skip prbkit_skip;

typedef struct {
    int known;
    const prbkit_skip *inner; /* NULL: the `size` bytes say all */
    size_t size;
} prbkit_skip_case;

struct prbkit_skip {
    int op;
    size_t size;  /* of a value; of an item in SEQUENCE and ARRAY where every one has it, else 0 */
    size_t floor; /* the fewest bytes of an item, at least 1 */
    size_t count;
    const prbkit_skip *inner;
    const prbkit_skip **parts;
    prbkit_skip_case *cases;
};

/* A compact integer of at most `most` bytes in its shortest form. */
static inline const uint8_t *prbkit_skip_compact(const uint8_t *p, const uint8_t *end, size_t most) {
    size_t low, size;
    if (p == end) return NULL;
    if ((p[0] & 3) != 3) {
        if (prbkit_read_compact(&p, end, &low)) return NULL;
        return most >= 4 || !(low >> (8 * most)) ? p : NULL;
    }
    size = (size_t)(p[0] >> 2) + 4;
    if (size > most || (size_t)(end - p) < 1 + size || p[size] == 0) return NULL;
    if (size == 4 && p[4] < 0x40) return NULL; /* below 2^30 there is a shorter form */
    return p + 1 + size;
}

/* A variant whose bytes say all, as most parts of a struct are: no call for it. */
static inline const uint8_t *prbkit_skip_plain(const prbkit_skip *n, const uint8_t *p,
                                               const uint8_t *end) {
    if (n->op != PRBKIT_SKIP_VARIANT || p == end || *p >= n->count) return NULL;
    const prbkit_skip_case *found = &n->cases[*p++];
    if (!found->known || found->inner || (size_t)(end - p) < found->size) return NULL;
    return p + found->size;
}

static const uint8_t *prbkit_skip_value(const prbkit_skip *n, const uint8_t *p, const uint8_t *end,
                                        int depth) {
    size_t count;
    for (;; depth++) {
        if (depth > PRBKIT_SKIP_DEPTH) return NULL;
        switch (n->op) {
        case PRBKIT_SKIP_FIXED:
            return (size_t)(end - p) >= n->size ? p + n->size : NULL;
        case PRBKIT_SKIP_BOOL:
            return p != end && *p <= 1 ? p + 1 : NULL;
        case PRBKIT_SKIP_COMPACT:
            return prbkit_skip_compact(p, end, n->size);
        case PRBKIT_SKIP_BYTES:
            if (prbkit_read_compact(&p, end, &count) || count > (size_t)(end - p)) return NULL;
            return p + count;
        case PRBKIT_SKIP_TEXT: { /* ASCII is UTF-8 without a further look */
            uint8_t high = 0;
            if (prbkit_read_compact(&p, end, &count) || count > (size_t)(end - p)) return NULL;
            for (size_t i = 0; i < count; i++) high |= p[i];
            return high < 0x80 ? p + count : NULL;
        }
        case PRBKIT_SKIP_SEQUENCE:
            if (p != end && *p == 0) return p + 1; /* told apart: nothing to multiply or wait for */
            if (prbkit_read_compact(&p, end, &count) || count > (size_t)(end - p) / n->floor)
                return NULL;
            if (n->size) return p + n->size * count;
            for (; count; count--)
                if (!(p = prbkit_skip_value(n->inner, p, end, depth + 1))) return NULL;
            return p;
        case PRBKIT_SKIP_ARRAY:
            if (n->count > (size_t)(end - p) / n->floor) return NULL;
            for (count = n->count; count; count--)
                if (!(p = prbkit_skip_value(n->inner, p, end, depth + 1))) return NULL;
            return p;
        case PRBKIT_SKIP_FIELDS:
            for (count = 0; count + 1 < n->count; count++) {
                const uint8_t *q = prbkit_skip_plain(n->parts[count], p, end);
                if (!q && !(q = prbkit_skip_value(n->parts[count], p, end, depth + 1))) return NULL;
                p = q;
            }
            n = n->parts[count];
            break;
        case PRBKIT_SKIP_OPTION:
            if (p == end || *p > 1) return NULL;
            if (*p++ == 0) return p;
            n = n->inner;
            break;
        case PRBKIT_SKIP_VARIANT: {
            if (p == end || *p >= n->count || !n->cases[*p].known) return NULL;
            const prbkit_skip_case *found = &n->cases[*p++];
            if (!found->inner) return (size_t)(end - p) >= found->size ? p + found->size : NULL;
            n = found->inner;
            break;
        }
        default:
            return NULL;
        }
    }
}

#endif
