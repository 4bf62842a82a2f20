/* A header's JSON text as nodes write it, straight to SCALE.
 *
 * It takes plain texts alone: the members parentHash, number, stateRoot, extrinsicsRoot and digest
 * once each in any order, no escapes, the number as hex. Whatever else there is, right or wrong,
 * is left to a JSON parser (-1), which also says what is wrong. */

#ifndef PRBKIT_HEADER_JSON_H
#define PRBKIT_HEADER_JSON_H

#include "hex.h"
#include "walk.h"

typedef struct {
    const uint8_t *hashes[3]; /* digits of parentHash, stateRoot, extrinsicsRoot */
    const uint8_t *logs;      /* behind the bracket */
    size_t n_logs, log_bytes;
    uint64_t number;
    int has_number;
} prbkit_header_text;

static inline const uint8_t *prbkit_json_space(const uint8_t *p, const uint8_t *end) {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    return p;
}

/* Behind `wanted` and the space around it, or NULL. */
static inline const uint8_t *prbkit_json_sign(const uint8_t *p, const uint8_t *end, uint8_t wanted) {
    p = prbkit_json_space(p, end);
    return p < end && *p == wanted ? prbkit_json_space(p + 1, end) : NULL;
}

/* A string from its opening quote on; returns behind the closing one, or NULL. */
static inline const uint8_t *prbkit_json_text(const uint8_t *p, const uint8_t *end,
                                              const uint8_t **text, size_t *size) {
    if (p == end || *p != '"') return NULL;
    const uint8_t *stop = memchr(p + 1, '"', (size_t)(end - p - 1));
    if (!stop) return NULL;
    *text = p + 1;
    *size = (size_t)(stop - p - 1);
    return stop + 1;
}

/* The same for 0x and digits, which are not looked at yet. */
static inline const uint8_t *prbkit_json_hex(const uint8_t *p, const uint8_t *end,
                                             const uint8_t **digits, size_t *count) {
    p = prbkit_json_text(p, end, digits, count);
    if (!p || *count < 2 || (*digits)[0] != '0' || (*digits)[1] != 'x') return NULL;
    *digits += 2;
    *count -= 2;
    return p;
}

static inline int prbkit_json_is(const uint8_t *text, size_t size, const char *name) {
    return size == strlen(name) && !memcmp(text, name, size);
}

static const uint8_t *prbkit_header_number(const uint8_t *p, const uint8_t *end,
                                           prbkit_header_text *h) {
    const uint8_t *digits;
    size_t count;
    p = prbkit_json_hex(p, end, &digits, &count);
    if (!p || h->has_number || count < 1 || count > 16) return NULL;
    for (size_t i = 0; i < count; i++) {
        uint8_t d = (uint8_t)(digits[i] - '0'), l = (uint8_t)((digits[i] | 0x20) - 'a');
        if (d > 9 && l > 5) return NULL;
        h->number = h->number << 4 | (d <= 9 ? d : (uint64_t)(l + 10));
    }
    h->has_number = 1;
    return h->number >> 32 ? NULL : p;
}

static const uint8_t *prbkit_header_digest(const uint8_t *p, const uint8_t *end,
                                           prbkit_header_text *h) {
    const uint8_t *text;
    size_t size;
    if (h->logs || !(p = prbkit_json_sign(p, end, '{'))) return NULL;
    if (!(p = prbkit_json_text(p, end, &text, &size)) || !prbkit_json_is(text, size, "logs"))
        return NULL;
    if (!(p = prbkit_json_sign(p, end, ':')) || !(p = prbkit_json_sign(p, end, '['))) return NULL;
    h->logs = p;
    while (p < end && *p != ']') {
        if (h->n_logs && !(p = prbkit_json_sign(p, end, ','))) return NULL;
        if (!(p = prbkit_json_hex(p, end, &text, &size)) || size & 1) return NULL;
        h->log_bytes += size / 2;
        h->n_logs++;
        p = prbkit_json_space(p, end);
    }
    return (p = prbkit_json_sign(p, end, ']')) ? prbkit_json_sign(p, end, '}') : NULL;
}

/* Find the members; 0, or -1 where the text is not plain. */
static int prbkit_header_parse(const uint8_t *p, const uint8_t *end, prbkit_header_text *h) {
    static const char *const names[3] = {"parentHash", "stateRoot", "extrinsicsRoot"};
    memset(h, 0, sizeof *h);
    p = prbkit_json_sign(p, end, '{');
    for (int member = 0; member < 5; member++) {
        const uint8_t *name;
        size_t size;
        if (!p || (member && !(p = prbkit_json_sign(p, end, ',')))) return -1;
        if (!(p = prbkit_json_text(p, end, &name, &size)) || !(p = prbkit_json_sign(p, end, ':')))
            return -1;
        if (prbkit_json_is(name, size, "number")) {
            p = prbkit_header_number(p, end, h);
        } else if (prbkit_json_is(name, size, "digest")) {
            p = prbkit_header_digest(p, end, h);
        } else {
            int i = 0;
            while (i < 3 && !prbkit_json_is(name, size, names[i])) i++;
            if (i == 3 || h->hashes[i]) return -1;
            p = prbkit_json_hex(p, end, &h->hashes[i], &size);
            if (size != 2 * PRBKIT_HASH) return -1;
        }
        if (p) p = prbkit_json_space(p, end);
    }
    return p && (p = prbkit_json_sign(p, end, '}')) && p == end ? 0 : -1;
}

/* Bytes that the SCALE of a parsed header takes at most. */
static inline size_t prbkit_header_room(const prbkit_header_text *h) {
    return 3 * PRBKIT_HASH + 2 * 9 + h->log_bytes;
}

/* Write the SCALE; its size, or 0 where a digit or a digest item is wrong. */
static size_t prbkit_header_write(const prbkit_header_text *h, const uint8_t *end, uint8_t *out) {
    uint8_t *o = out;
    if (prbkit_unhex((const char *)h->hashes[0], PRBKIT_HASH, o)) return 0;
    o += PRBKIT_HASH;
    o += prbkit_compact(o, h->number);
    for (int i = 1; i < 3; i++, o += PRBKIT_HASH)
        if (prbkit_unhex((const char *)h->hashes[i], PRBKIT_HASH, o)) return 0;
    o += prbkit_compact(o, h->n_logs);
    const uint8_t *p = h->logs, *digits;
    for (size_t i = 0; i < h->n_logs; i++) {
        size_t size = 0;
        if (i) p = prbkit_json_sign(p, end, ',');
        p = prbkit_json_hex(p, end, &digits, &size);
        if (prbkit_unhex((const char *)digits, size / 2, o)) return 0;
        prbkit_walk w = {.start = o, .p = o, .end = o + size / 2};
        if (prbkit_walk_log(&w) || w.p != w.end) return 0;
        o += size / 2;
    }
    return (size_t)(o - out);
}

#endif
