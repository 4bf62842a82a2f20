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

/* Read a compact length of at most 32 bits as Substrate writes it (the shortest form): NULL, or
 * what is wrong with it, and then nothing was read. */
static inline const char *prbkit_read_compact(const uint8_t **at, const uint8_t *end, size_t *out) {
    const uint8_t *p = *at;
    size_t left = (size_t)(end - p), v;
    if (left == 0) return "a length is cut off";
    switch (p[0] & 3) {
    case 0:
        *out = p[0] >> 2;
        *at = p + 1;
        return NULL;
    case 1:
        if (left < 2) return "a length is cut off";
        v = (p[0] | (size_t)p[1] << 8) >> 2;
        if (v < 1u << 6) return "a length is not in its shortest form";
        *out = v;
        *at = p + 2;
        return NULL;
    case 2:
        if (left < 4) return "a length is cut off";
        v = (p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24) >> 2;
        if (v < 1u << 14) return "a length is not in its shortest form";
        *out = v;
        *at = p + 4;
        return NULL;
    default:
        if (left < 5) return "a length is cut off";
        if (p[0] != 3) return "a length is over 32 bits";
        v = p[1] | (size_t)p[2] << 8 | (size_t)p[3] << 16 | (size_t)p[4] << 24;
        if (v < 1u << 30) return "a length is not in its shortest form";
        *out = v;
        *at = p + 5;
        return NULL;
    }
}

#endif
