/* Hex to bytes in a loop without branches or tables, which compilers turn into vector code. */

#ifndef PRBKIT_HEX_H
#define PRBKIT_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Read 2 * bytes digits of either case; nonzero where one of them is none. */
static int prbkit_unhex(const char *restrict text, size_t bytes, uint8_t *restrict out) {
    const uint8_t *in = (const uint8_t *)text;
    uint8_t bad = 0;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t a = in[2 * i], b = in[2 * i + 1];
        uint8_t ad = (uint8_t)(a - '0'), al = (uint8_t)((a | 0x20) - 'a');
        uint8_t bd = (uint8_t)(b - '0'), bl = (uint8_t)((b | 0x20) - 'a');
        bad |= (uint8_t)((ad > 9) & (al > 5)) | (uint8_t)((bd > 9) & (bl > 5));
        uint8_t hi = ad <= 9 ? ad : (uint8_t)(al + 10), lo = bd <= 9 ? bd : (uint8_t)(bl + 10);
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return bad;
}

#endif
