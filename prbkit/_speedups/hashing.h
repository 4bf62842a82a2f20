/* The hashes of Substrate's storage: BLAKE2b (RFC 7693, no key) and XXH64 (xxHash specification
 * 0.1.1). Plain C11 without Python, so that it runs with the GIL released. */

#ifndef PRBKIT_HASHING_H
#define PRBKIT_HASHING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "prbkit reads integers in place and needs a little-endian machine"
#endif

static inline uint64_t prbkit_load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t prbkit_load32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t prbkit_rotr64(uint64_t x, unsigned n) { return (x >> n) | (x << (64 - n)); }
static inline uint64_t prbkit_rotl64(uint64_t x, unsigned n) { return (x << n) | (x >> (64 - n)); }

static const uint64_t prbkit_blake2b_iv[8] = {
    UINT64_C(0x6a09e667f3bcc908), UINT64_C(0xbb67ae8584caa73b), UINT64_C(0x3c6ef372fe94f82b),
    UINT64_C(0xa54ff53a5f1d36f1), UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
    UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179),
};

#define PRBKIT_G(a, b, c, d, x, y)                                                                 \
    do {                                                                                           \
        a += b + (x);                                                                              \
        d = prbkit_rotr64(d ^ a, 32);                                                              \
        c += d;                                                                                    \
        b = prbkit_rotr64(b ^ c, 24);                                                              \
        a += b + (y);                                                                              \
        d = prbkit_rotr64(d ^ a, 16);                                                              \
        c += d;                                                                                    \
        b = prbkit_rotr64(b ^ c, 63);                                                              \
    } while (0)

/* One round with the message schedule spelled out, so that every index is a constant. */
#define PRBKIT_ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa, sb, sc, sd, se, sf)               \
    do {                                                                                           \
        PRBKIT_G(v0, v4, v8, vc, m[s0], m[s1]);                                                    \
        PRBKIT_G(v1, v5, v9, vd, m[s2], m[s3]);                                                    \
        PRBKIT_G(v2, v6, va, ve, m[s4], m[s5]);                                                    \
        PRBKIT_G(v3, v7, vb, vf, m[s6], m[s7]);                                                    \
        PRBKIT_G(v0, v5, va, vf, m[s8], m[s9]);                                                    \
        PRBKIT_G(v1, v6, vb, vc, m[sa], m[sb]);                                                    \
        PRBKIT_G(v2, v7, v8, vd, m[sc], m[sd]);                                                    \
        PRBKIT_G(v3, v4, v9, ve, m[se], m[sf]);                                                    \
    } while (0)

static void prbkit_blake2b_block(uint64_t h[8], const uint8_t block[128], uint64_t count,
                                 uint64_t last) {
    uint64_t m[16];
    memcpy(m, block, 128);
    uint64_t v0 = h[0], v1 = h[1], v2 = h[2], v3 = h[3], v4 = h[4], v5 = h[5], v6 = h[6], v7 = h[7];
    uint64_t v8 = prbkit_blake2b_iv[0], v9 = prbkit_blake2b_iv[1], va = prbkit_blake2b_iv[2];
    uint64_t vb = prbkit_blake2b_iv[3], vc = prbkit_blake2b_iv[4] ^ count;
    uint64_t vd = prbkit_blake2b_iv[5], ve = prbkit_blake2b_iv[6] ^ last;
    uint64_t vf = prbkit_blake2b_iv[7];
    PRBKIT_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    PRBKIT_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
    PRBKIT_ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
    PRBKIT_ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
    PRBKIT_ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
    PRBKIT_ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
    PRBKIT_ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
    PRBKIT_ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
    PRBKIT_ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
    PRBKIT_ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
    PRBKIT_ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    PRBKIT_ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
    h[0] ^= v0 ^ v8;
    h[1] ^= v1 ^ v9;
    h[2] ^= v2 ^ va;
    h[3] ^= v3 ^ vb;
    h[4] ^= v4 ^ vc;
    h[5] ^= v5 ^ vd;
    h[6] ^= v6 ^ ve;
    h[7] ^= v7 ^ vf;
}

/* BLAKE2b of n bytes; size is 1 to 64. */
static void prbkit_blake2b(const uint8_t *data, size_t n, uint8_t *out, size_t size) {
    uint64_t h[8];
    uint8_t last[128];
    uint64_t count = 0;
    memcpy(h, prbkit_blake2b_iv, sizeof h);
    h[0] ^= UINT64_C(0x01010000) ^ (uint64_t)size;
    while (n > 128) {
        count += 128;
        prbkit_blake2b_block(h, data, count, 0);
        data += 128;
        n -= 128;
    }
    memset(last, 0, sizeof last);
    if (n) memcpy(last, data, n);
    prbkit_blake2b_block(h, last, count + n, UINT64_MAX);
    memcpy(out, h, size);
}

#define PRBKIT_XXP1 UINT64_C(0x9E3779B185EBCA87)
#define PRBKIT_XXP2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRBKIT_XXP3 UINT64_C(0x165667B19E3779F9)
#define PRBKIT_XXP4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRBKIT_XXP5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t prbkit_xx_round(uint64_t acc, uint64_t lane) {
    return prbkit_rotl64(acc + lane * PRBKIT_XXP2, 31) * PRBKIT_XXP1;
}

static inline uint64_t prbkit_xx_merge(uint64_t acc, uint64_t lane) {
    return (acc ^ prbkit_xx_round(0, lane)) * PRBKIT_XXP1 + PRBKIT_XXP4;
}

static uint64_t prbkit_xxh64(const uint8_t *p, size_t n, uint64_t seed) {
    const uint8_t *end = p + n;
    uint64_t h;
    if (n >= 32) {
        uint64_t a = seed + PRBKIT_XXP1 + PRBKIT_XXP2, b = seed + PRBKIT_XXP2;
        uint64_t c = seed, d = seed - PRBKIT_XXP1;
        do {
            a = prbkit_xx_round(a, prbkit_load64(p));
            b = prbkit_xx_round(b, prbkit_load64(p + 8));
            c = prbkit_xx_round(c, prbkit_load64(p + 16));
            d = prbkit_xx_round(d, prbkit_load64(p + 24));
            p += 32;
        } while (end - p >= 32);
        h = prbkit_rotl64(a, 1) + prbkit_rotl64(b, 7) + prbkit_rotl64(c, 12) + prbkit_rotl64(d, 18);
        h = prbkit_xx_merge(h, a);
        h = prbkit_xx_merge(h, b);
        h = prbkit_xx_merge(h, c);
        h = prbkit_xx_merge(h, d);
    } else {
        h = seed + PRBKIT_XXP5;
    }
    h += (uint64_t)n;
    for (; end - p >= 8; p += 8)
        h = prbkit_rotl64(h ^ prbkit_xx_round(0, prbkit_load64(p)), 27) * PRBKIT_XXP1 + PRBKIT_XXP4;
    if (end - p >= 4) {
        h = prbkit_rotl64(h ^ prbkit_load32(p) * PRBKIT_XXP1, 23) * PRBKIT_XXP2 + PRBKIT_XXP3;
        p += 4;
    }
    for (; p < end; p++) h = prbkit_rotl64(h ^ *p * PRBKIT_XXP5, 11) * PRBKIT_XXP1;
    h = (h ^ (h >> 33)) * PRBKIT_XXP2;
    h = (h ^ (h >> 29)) * PRBKIT_XXP3;
    return h ^ (h >> 32);
}

/* Substrate's twox: XXH64 with seeds 0, 1, … in a row, 8 bytes each. */
static void prbkit_twox(const uint8_t *data, size_t n, uint8_t *out, unsigned lanes) {
    for (unsigned i = 0; i < lanes; i++) {
        uint64_t h = prbkit_xxh64(data, n, i);
        memcpy(out + 8 * i, &h, 8);
    }
}

#endif
