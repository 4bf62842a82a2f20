/* SCALE's Compact of an integer below 2^64, for every part that writes one. */

#ifndef PRBKIT_COMPACT_H
#define PRBKIT_COMPACT_H

#include <stddef.h>
#include <stdint.h>

/* Write up to 9 bytes; returns how many. */
static inline size_t prbkit_compact(uint8_t *out, uint64_t v) {
    size_t size = 4;
    if (v < 1u << 6) {
        out[0] = (uint8_t)(v << 2);
        return 1;
    }
    if (v < 1u << 14) {
        out[0] = (uint8_t)(v << 2 | 1);
        out[1] = (uint8_t)(v >> 6);
        return 2;
    }
    if (v < 1u << 30) {
        v = v << 2 | 2;
        for (size_t i = 0; i < 4; i++) out[i] = (uint8_t)(v >> (8 * i));
        return 4;
    }
    while (size < 8 && v >> (8 * size)) size++;
    out[0] = (uint8_t)((size - 4) << 2 | 3);
    for (size_t i = 0; i < size; i++) out[1 + i] = (uint8_t)(v >> (8 * i));
    return 1 + size;
}

#endif
