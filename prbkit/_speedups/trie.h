/* A base-16 Merkle-Patricia trie in Substrate's node format (layouts V0 and V1), kept in memory
 * with each node's reference cached, so that a change re-hashes only the nodes on its path.
 *
 * Plain C without Python: it runs with the GIL released. No function recurses: a chain of keys,
 * each the prefix of the next, makes a trie as deep as the longest key has nibbles. Functions that
 * allocate return 0, or -1 when memory runs out. */

#ifndef PRBKIT_TRIE_H
#define PRBKIT_TRIE_H

#include "compact.h"
#include "hashing.h"
#include <stdlib.h>

/* sp-trie bounds a partial key by 65,535 nibbles. */
#define PRBKIT_MAX_KEY 32767

typedef struct prbkit_node {
    struct prbkit_node **kids; /* NULL, or 16 links of which at least one is set */
    uint8_t *value;            /* NULL: none. Under V1 a long value is followed by its hash */
    size_t value_len;
    uint8_t *nibbles; /* the partial key, one nibble a byte */
    uint32_t n_nibbles;
    uint8_t value_hashed; /* the 32 bytes after the value hold its hash */
    uint8_t ref_len;      /* 0: to be computed. 32: hash. Else the length of the inline encoding */
    uint8_t ref[32];
} prbkit_node;

typedef struct {
    uint8_t *data;
    size_t len, cap;
} prbkit_buf;

typedef struct {
    prbkit_node *root;
    int version;
    size_t count;   /* keys */
    prbkit_buf buf; /* the last encoded node */
    prbkit_node **stack;
    size_t stack_cap;
} prbkit_trie;

typedef struct {
    const uint8_t *key;
    size_t key_len;
    const uint8_t *value; /* NULL deletes */
    size_t value_len;
} prbkit_change;

static inline unsigned prbkit_nibble(const uint8_t *key, size_t i) {
    return i & 1 ? key[i >> 1] & 15 : key[i >> 1] >> 4;
}

static prbkit_node *prbkit_node_new(const uint8_t *key, size_t from, size_t to) {
    prbkit_node *n = calloc(1, sizeof *n);
    if (!n) return NULL;
    n->n_nibbles = (uint32_t)(to - from);
    n->nibbles = malloc(to - from ? to - from : 1);
    if (!n->nibbles) {
        free(n);
        return NULL;
    }
    for (size_t i = from; i < to; i++) n->nibbles[i - from] = (uint8_t)prbkit_nibble(key, i);
    return n;
}

static void prbkit_node_free(prbkit_node *n) {
    free(n->kids);
    free(n->value);
    free(n->nibbles);
    free(n);
}

/* Free a whole trie: each node's children are hung below the stack of nodes still to free, which
 * is threaded through `value` once that is no longer needed. */
static void prbkit_trie_clear(prbkit_trie *t) {
    prbkit_node *todo = t->root;
    t->root = NULL;
    t->count = 0;
    if (todo) {
        free(todo->value);
        todo->value = NULL;
    }
    while (todo) {
        prbkit_node *n = todo;
        todo = (prbkit_node *)(void *)n->value;
        n->value = NULL;
        if (n->kids)
            for (int i = 0; i < 16; i++)
                if (n->kids[i]) {
                    free(n->kids[i]->value);
                    n->kids[i]->value = (uint8_t *)(void *)todo;
                    todo = n->kids[i];
                }
        prbkit_node_free(n);
    }
    free(t->buf.data);
    memset(&t->buf, 0, sizeof t->buf);
    free(t->stack);
    t->stack = NULL;
    t->stack_cap = 0;
}

static int prbkit_stack_room(prbkit_trie *t, size_t depth) {
    if (depth < t->stack_cap) return 0;
    size_t cap = t->stack_cap ? t->stack_cap * 2 : 128;
    prbkit_node **stack = realloc(t->stack, cap * sizeof *stack);
    if (!stack) return -1;
    t->stack = stack;
    t->stack_cap = cap;
    return 0;
}

/* The node of exactly that key, or NULL. */
static prbkit_node *prbkit_trie_find(const prbkit_trie *t, const uint8_t *key, size_t len) {
    prbkit_node *n = t->root;
    size_t pos = 0, total = 2 * len;
    while (n) {
        if (n->n_nibbles > total - pos) return NULL;
        for (uint32_t i = 0; i < n->n_nibbles; i++)
            if (n->nibbles[i] != prbkit_nibble(key, pos + i)) return NULL;
        pos += n->n_nibbles;
        if (pos == total) return n->value ? n : NULL;
        if (!n->kids) return NULL;
        n = n->kids[prbkit_nibble(key, pos++)];
    }
    return NULL;
}

static int prbkit_set_value(prbkit_trie *t, prbkit_node *n, const uint8_t *value, size_t len) {
    int hashed = t->version == 1 && len > 32;
    uint8_t *copy = malloc(len + 32);
    if (!copy) return -1;
    if (len) memcpy(copy, value, len);
    if (hashed) prbkit_blake2b(value, len, copy + len, 32);
    if (!n->value) t->count++;
    free(n->value);
    n->value = copy;
    n->value_len = len;
    n->value_hashed = (uint8_t)hashed;
    n->ref_len = 0;
    return 0;
}

static int prbkit_add_leaf(prbkit_trie *t, prbkit_node **link, const prbkit_change *c, size_t from) {
    prbkit_node *leaf = prbkit_node_new(c->key, from, 2 * c->key_len);
    if (!leaf) return -1;
    if (prbkit_set_value(t, leaf, c->value, c->value_len)) {
        prbkit_node_free(leaf);
        return -1;
    }
    *link = leaf;
    return 0;
}

static int prbkit_trie_insert(prbkit_trie *t, const prbkit_change *c) {
    prbkit_node **link = &t->root;
    size_t pos = 0, total = 2 * c->key_len;
    for (;;) {
        prbkit_node *n = *link;
        if (!n) return prbkit_add_leaf(t, link, c, pos);
        n->ref_len = 0;
        uint32_t same = 0;
        while (same < n->n_nibbles && pos + same < total &&
               n->nibbles[same] == prbkit_nibble(c->key, pos + same))
            same++;
        if (same == n->n_nibbles) {
            pos += same;
            if (pos == total) return prbkit_set_value(t, n, c->value, c->value_len);
            if (!n->kids && !(n->kids = calloc(16, sizeof *n->kids))) return -1;
            link = &n->kids[prbkit_nibble(c->key, pos++)];
            continue;
        }
        /* The paths part inside n: a branch takes its place, with n below it. */
        prbkit_node *branch = prbkit_node_new(c->key, pos, pos + same);
        if (!branch) return -1;
        branch->kids = calloc(16, sizeof *branch->kids);
        if (!branch->kids) {
            prbkit_node_free(branch);
            return -1;
        }
        int failed = pos + same == total
                         ? prbkit_set_value(t, branch, c->value, c->value_len)
                         : prbkit_add_leaf(t, &branch->kids[prbkit_nibble(c->key, pos + same)], c,
                                           pos + same + 1);
        if (failed) {
            prbkit_node_free(branch);
            return -1;
        }
        branch->kids[n->nibbles[same]] = n;
        n->n_nibbles -= same + 1;
        memmove(n->nibbles, n->nibbles + same + 1, n->n_nibbles);
        *link = branch;
        return 0;
    }
}

/* A branch without a value and with one child left becomes one node with that child. */
static int prbkit_merge(prbkit_node **link) {
    prbkit_node *n = *link, *child = NULL;
    int slot = 0, kids = 0;
    for (int i = 0; i < 16; i++)
        if (n->kids[i]) {
            child = n->kids[i];
            slot = i;
            kids++;
        }
    if (kids == 0) {
        free(n->kids);
        n->kids = NULL;
        return 0;
    }
    if (kids > 1 || n->value) return 0;
    uint8_t *joined = malloc((size_t)n->n_nibbles + 1 + child->n_nibbles);
    if (!joined) return -1;
    memcpy(joined, n->nibbles, n->n_nibbles);
    joined[n->n_nibbles] = (uint8_t)slot;
    memcpy(joined + n->n_nibbles + 1, child->nibbles, child->n_nibbles);
    free(child->nibbles);
    child->nibbles = joined;
    child->n_nibbles += n->n_nibbles + 1;
    child->ref_len = 0;
    *link = child;
    prbkit_node_free(n);
    return 0;
}

static int prbkit_trie_remove(prbkit_trie *t, const uint8_t *key, size_t len) {
    if (!prbkit_trie_find(t, key, len)) return 0;
    prbkit_node **link = &t->root, **above = NULL;
    size_t pos = 0, total = 2 * len;
    for (;;) {
        prbkit_node *n = *link;
        n->ref_len = 0;
        pos += n->n_nibbles;
        if (pos == total) break;
        above = link;
        link = &n->kids[prbkit_nibble(key, pos++)];
    }
    prbkit_node *n = *link;
    free(n->value);
    n->value = NULL;
    n->value_len = 0;
    n->value_hashed = 0;
    t->count--;
    if (n->kids) return prbkit_merge(link);
    prbkit_node_free(n);
    *link = NULL;
    return above ? prbkit_merge(above) : 0;
}

static int prbkit_buf_room(prbkit_buf *b, size_t more) {
    if (b->cap - b->len >= more) return 0;
    size_t cap = b->cap * 2 > b->len + more ? b->cap * 2 : b->len + more + 256;
    uint8_t *data = realloc(b->data, cap);
    if (!data) return -1;
    b->data = data;
    b->cap = cap;
    return 0;
}

static inline void prbkit_buf_compact(prbkit_buf *b, uint64_t v) {
    b->len += prbkit_compact(b->data + b->len, v);
}

/* Write a node's encoding into t->buf; the references of its children must be known. */
static int prbkit_encode(prbkit_trie *t, const prbkit_node *n) {
    prbkit_buf *b = &t->buf;
    b->len = 0;
    if (prbkit_buf_room(b, 1 + n->n_nibbles / 255 + 2 + n->n_nibbles / 2 + 2 + 2 + 9 + 32 +
                               n->value_len + 16 * 33))
        return -1;
    unsigned prefix, bits;
    if (n->value_hashed) {
        prefix = n->kids ? 0x10 : 0x20;
        bits = n->kids ? 4 : 5;
    } else {
        prefix = !n->kids ? 0x40 : n->value ? 0xc0 : 0x80;
        bits = 6;
    }
    uint32_t max = (1u << bits) - 1;
    if (n->n_nibbles < max) {
        b->data[b->len++] = (uint8_t)(prefix | n->n_nibbles);
    } else {
        uint32_t rest = n->n_nibbles - max;
        b->data[b->len++] = (uint8_t)(prefix | max);
        for (; rest >= 255; rest -= 255) b->data[b->len++] = 255;
        b->data[b->len++] = (uint8_t)rest;
    }
    uint32_t i = 0;
    if (n->n_nibbles & 1) b->data[b->len++] = n->nibbles[i++];
    for (; i < n->n_nibbles; i += 2)
        b->data[b->len++] = (uint8_t)(n->nibbles[i] << 4 | n->nibbles[i + 1]);
    if (n->kids) {
        unsigned bitmap = 0;
        for (int k = 0; k < 16; k++)
            if (n->kids[k]) bitmap |= 1u << k;
        b->data[b->len++] = (uint8_t)bitmap;
        b->data[b->len++] = (uint8_t)(bitmap >> 8);
    }
    if (n->value_hashed) {
        memcpy(b->data + b->len, n->value + n->value_len, 32);
        b->len += 32;
    } else if (n->value) {
        prbkit_buf_compact(b, n->value_len);
        memcpy(b->data + b->len, n->value, n->value_len);
        b->len += n->value_len;
    }
    if (n->kids)
        for (int k = 0; k < 16; k++) {
            const prbkit_node *child = n->kids[k];
            if (!child) continue;
            b->data[b->len++] = (uint8_t)(child->ref_len << 2);
            memcpy(b->data + b->len, child->ref, child->ref_len);
            b->len += child->ref_len;
        }
    return 0;
}

/* Compute the references that are missing, and the root (32 bytes) where `root` is given. */
static int prbkit_trie_hash(prbkit_trie *t, uint8_t *root) {
    static const uint8_t empty = 0;
    if (!t->root) {
        if (root) prbkit_blake2b(&empty, 1, root, 32);
        return 0;
    }
    size_t depth = 0;
    if (prbkit_stack_room(t, depth)) return -1;
    if (t->root->ref_len == 0) t->stack[depth++] = t->root;
    while (depth) {
        prbkit_node *n = t->stack[depth - 1];
        size_t before = depth;
        if (n->kids)
            for (int i = 0; i < 16; i++)
                if (n->kids[i] && n->kids[i]->ref_len == 0) {
                    if (prbkit_stack_room(t, depth)) return -1;
                    t->stack[depth++] = n->kids[i];
                }
        if (depth > before) continue;
        depth--;
        if (prbkit_encode(t, n)) return -1;
        if (t->buf.len < 32) {
            memcpy(n->ref, t->buf.data, t->buf.len);
            n->ref_len = (uint8_t)t->buf.len;
        } else {
            prbkit_blake2b(t->buf.data, t->buf.len, n->ref, 32);
            n->ref_len = 32;
        }
    }
    if (root) {
        if (t->root->ref_len == 32)
            memcpy(root, t->root->ref, 32);
        else
            prbkit_blake2b(t->root->ref, t->root->ref_len, root, 32);
    }
    return 0;
}

/* Make the changes in order; the references on their paths are dropped. */
static int prbkit_trie_apply(prbkit_trie *t, const prbkit_change *changes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const prbkit_change *c = &changes[i];
        if (!c->value) {
            if (prbkit_trie_remove(t, c->key, c->key_len)) return -1;
            continue;
        }
        const prbkit_node *old = prbkit_trie_find(t, c->key, c->key_len);
        if (old && old->value_len == c->value_len &&
            (c->value_len == 0 || !memcmp(old->value, c->value, c->value_len)))
            continue;
        if (prbkit_trie_insert(t, c)) return -1;
    }
    return 0;
}

#endif
