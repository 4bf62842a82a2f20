# State tries: one trie with its root kept up to date (MerkleTrie), and reading proofs of one.
# Children and their roots are put together in prbkit.light.trie.

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t

import threading

cdef extern from "trie.h" nogil:
    enum:
        PRBKIT_MAX_KEY
    ctypedef struct prbkit_node:
        prbkit_node **kids
        uint8_t *value
        size_t value_len
        uint8_t *nibbles
        uint32_t n_nibbles
        uint8_t value_hashed
        uint8_t ref_len
        uint8_t *ref
    ctypedef struct prbkit_buf:
        uint8_t *data
        size_t len
    ctypedef struct prbkit_trie:
        prbkit_node *root
        int version
        size_t count
        prbkit_buf buf
    ctypedef struct prbkit_change:
        const uint8_t *key
        size_t key_len
        const uint8_t *value
        size_t value_len
    unsigned int prbkit_nibble(const uint8_t *key, size_t i)
    void prbkit_trie_clear(prbkit_trie *t)
    const prbkit_node *prbkit_trie_find(const prbkit_trie *t, const uint8_t *key, size_t n)
    int prbkit_trie_apply(prbkit_trie *t, const prbkit_change *changes, size_t n)
    int prbkit_trie_hash(prbkit_trie *t, uint8_t *root)
    int prbkit_encode(prbkit_trie *t, const prbkit_node *n)


cdef bytes _own(object data):
    return data if type(data) is bytes else bytes(memoryview(data))


cdef class MerkleTrie:
    """A trie of bytes to bytes in node layout `version` (0 or 1), its root always current."""

    cdef prbkit_trie t
    cdef object lock
    cdef bint broken

    def __cinit__(self, int version=0):
        if version != 0 and version != 1:
            raise ValueError(f"state version {version} is not known: 0 and 1 are")
        self.t.version = version
        self.lock = threading.Lock()

    def __dealloc__(self):
        prbkit_trie_clear(&self.t)

    def __len__(self):
        return self.t.count

    @property
    def version(self):
        return self.t.version

    cdef bytes _hash(self):
        cdef uint8_t root[32]
        cdef int failed
        with nogil:
            failed = prbkit_trie_hash(&self.t, root)
        if failed:
            self.broken = True
            raise MemoryError
        return root[:32]

    cdef int _check(self) except -1:
        # A change that ran out of memory half-way left a trie of which nothing is known.
        if self.broken:
            raise MemoryError("this trie was lost when memory ran out")
        return 0

    @property
    def root(self):
        """Root hash, 32 bytes."""
        with self.lock:
            self._check()
            return self._hash()

    def apply(self, changes):
        """Set (key, value) or, where value is None, delete; the later of two wins. The new root."""
        cdef list held = []
        cdef bytes key, value
        cdef Py_ssize_t i, n
        cdef int failed
        for k, v in changes:
            key = _own(k)
            if len(key) > PRBKIT_MAX_KEY:
                raise CodecError(
                    f"a storage key has {len(key)} bytes: the trie holds {PRBKIT_MAX_KEY}"
                )
            held.append((key, None if v is None else _own(v)))
        n = len(held)
        cdef size_t size = <size_t> (n + 1) * sizeof(prbkit_change)
        cdef prbkit_change *c = <prbkit_change *> PyMem_Malloc(size)
        if c == NULL:
            raise MemoryError
        try:
            for i in range(n):
                key = (<tuple> held[i])[0]
                c[i].key = <const uint8_t *> PyBytes_AS_STRING(key)
                c[i].key_len = <size_t> len(key)
                c[i].value = NULL
                c[i].value_len = 0
                if (<tuple> held[i])[1] is not None:
                    value = (<tuple> held[i])[1]
                    c[i].value = <const uint8_t *> PyBytes_AS_STRING(value)
                    c[i].value_len = <size_t> len(value)
            with self.lock:
                self._check()
                with nogil:
                    failed = prbkit_trie_apply(&self.t, c, <size_t> n)
                if failed:
                    self.broken = True
                    raise MemoryError
                return self._hash()
        finally:
            PyMem_Free(c)

    def get(self, key):
        """The value of a key, or None."""
        cdef bytes k = _own(key)
        cdef const prbkit_node *n
        with self.lock:
            self._check()
            n = prbkit_trie_find(&self.t, <const uint8_t *> PyBytes_AS_STRING(k), <size_t> len(k))
            if n == NULL:
                return None
            return PyBytes_FromStringAndSize(<char *> n.value, <Py_ssize_t> n.value_len)

    def items(self, prefix=b""):
        """All (key, value) whose key begins with `prefix`, sorted by key."""
        cdef bytes head = _own(prefix)
        cdef bytearray path
        cdef list out = []
        cdef list todo
        cdef prbkit_node *n
        cdef int i
        cdef bytes wanted = bytes(
            [prbkit_nibble(<const uint8_t *> PyBytes_AS_STRING(head), <size_t> i)
             for i in range(2 * len(head))]
        )
        with self.lock:
            self._check()
            todo = [] if self.t.root == NULL else [(<size_t> self.t.root, b"")]
            while todo:
                at, above = todo.pop()
                n = <prbkit_node *> <size_t> at
                path = bytearray(above)
                path += n.nibbles[:n.n_nibbles]
                i = min(len(path), len(wanted))
                if path[:i] != wanted[:i]:
                    continue
                if n.value != NULL and len(path) >= len(wanted):
                    out.append((
                        bytes([path[i] << 4 | path[i + 1] for i in range(0, len(path), 2)]),
                        PyBytes_FromStringAndSize(<char *> n.value, <Py_ssize_t> n.value_len),
                    ))
                if n.kids != NULL:
                    for i in range(15, -1, -1):
                        if n.kids[i] != NULL:
                            todo.append((<size_t> n.kids[i], bytes(path) + bytes([i])))
        return out

    def path(self, key, set nodes):
        """Add to `nodes` all that a proof of `key`, there or not, consists of."""
        cdef bytes k = _own(key)
        cdef const uint8_t *p = <const uint8_t *> PyBytes_AS_STRING(k)
        cdef size_t pos = 0, total = 2 * <size_t> len(k)
        cdef uint32_t i
        cdef const prbkit_node *n
        with self.lock:
            self._check()
            self._hash()
            n = self.t.root
            if n == NULL:
                nodes.add(b"\0")
            while n != NULL:
                if n == self.t.root or n.ref_len == 32:
                    if prbkit_encode(&self.t, n):
                        raise MemoryError
                    nodes.add(self.t.buf.data[:self.t.buf.len])
                if n.n_nibbles > total - pos:
                    return
                for i in range(n.n_nibbles):
                    if n.nibbles[i] != prbkit_nibble(p, pos + i):
                        return
                pos += n.n_nibbles
                if pos == total:
                    if n.value_hashed:
                        nodes.add(n.value[:n.value_len])
                    return
                if n.kids == NULL:
                    return
                n = n.kids[prbkit_nibble(p, pos)]
                pos += 1


cdef enum NodeValue:
    NO_VALUE
    INLINE_VALUE
    HASHED_VALUE


cdef struct ParsedNode:
    bint empty
    bint branch
    NodeValue kind
    const uint8_t *nibbles  # the packed partial key, behind a padding nibble where odd
    size_t n_nibbles
    const uint8_t *value
    size_t value_len
    const uint8_t *kids[16]
    size_t kid_len[16]


cdef const char *_parse_node(const uint8_t *p, size_t size, ParsedNode *node) noexcept nogil:
    # Parse a whole trie node; NULL, or what is wrong with it.
    cdef const uint8_t *end = p + size
    cdef const char *wrong
    cdef size_t n, top, packed
    cdef unsigned int h, bitmap
    cdef int i
    node.empty = False
    node.branch = False
    node.kind = NO_VALUE
    node.n_nibbles = 0
    for i in range(16):
        node.kids[i] = NULL
    if size == 0:
        return "it has no bytes"
    h = p[0]
    p += 1
    if h == 0:
        node.empty = True
        if p != end:
            return "bytes are left over"
        return NULL
    if h >> 6:
        top = 63
        node.branch = h >> 6 != 1
        node.kind = NO_VALUE if h >> 6 == 2 else INLINE_VALUE
    elif h >> 5 == 1:
        top = 31
        node.kind = HASHED_VALUE
    elif h >> 4 == 1:
        top = 15
        node.branch = True
        node.kind = HASHED_VALUE
    else:
        return "its header is not known"
    n = h & top
    if n == top:
        while True:
            if p == end:
                return "its partial key's length is cut off"
            h = p[0]
            p += 1
            n += h
            if n > 2 * PRBKIT_MAX_KEY:
                return "its partial key is too long"
            if h != 255:
                break
    packed = (n + 1) // 2
    if <size_t> (end - p) < packed:
        return "its partial key is cut off"
    if n & 1 and p[0] >> 4:
        return "its partial key is padded with something else than zero"
    node.nibbles = p
    node.n_nibbles = n
    p += packed
    bitmap = 0
    if node.branch:
        if end - p < 2:
            return "its children are cut off"
        bitmap = p[0] | <unsigned int> p[1] << 8
        p += 2
        if bitmap == 0:
            return "it is a branch without children"
    if node.kind == HASHED_VALUE:
        if end - p < 32:
            return "its value's hash is cut off"
        node.value = p
        node.value_len = 32
        p += 32
    elif node.kind == INLINE_VALUE:
        wrong = prbkit_read_compact(&p, end, &node.value_len)
        if wrong != NULL:
            return wrong
        if <size_t> (end - p) < node.value_len:
            return "its value is cut off"
        node.value = p
        p += node.value_len
    for i in range(16):
        if not bitmap >> i & 1:
            continue
        wrong = prbkit_read_compact(&p, end, &n)
        if wrong != NULL:
            return wrong
        if n == 0 or n > 32:
            return "a child is neither a hash nor a node shorter than one"
        if <size_t> (end - p) < n:
            return "a child is cut off"
        node.kids[i] = p
        node.kid_len[i] = n
        p += n
    if p != end:
        return "bytes are left over"
    return NULL


cdef bytes _proof_node(dict nodes, bytes hash_, str what):
    found = nodes.get(hash_)
    if found is None:
        raise ProofError(
            f"the proof lacks {what} 0x{hash_.hex()}",
            hint="the proof is of another root or of other keys",
        )
    return found


def proof_lookup(bytes root not None, dict nodes not None, bytes key not None):
    """Read `key` under `root` from {hash: node}; None where its absence is proven."""
    cdef ParsedNode node
    cdef const uint8_t *k = <const uint8_t *> PyBytes_AS_STRING(key)
    cdef size_t pos = 0, total = 2 * <size_t> len(key), i, first
    cdef bytes held = _proof_node(nodes, root, "the root node")
    cdef const uint8_t *p = <const uint8_t *> PyBytes_AS_STRING(held)
    cdef size_t size = <size_t> len(held)
    cdef bint at_root = True
    cdef const char *wrong
    cdef unsigned int slot
    while True:
        wrong = _parse_node(p, size, &node)
        if wrong == NULL and node.empty and not at_root:
            wrong = "it is empty but not the root"
        if wrong != NULL:
            raise ProofError(
                f"a trie node is malformed: {wrong.decode()}",
                where=f"nibble {pos} of 0x{key.hex()}",
            )
        if node.empty or node.n_nibbles > total - pos:
            return None
        first = node.n_nibbles & 1
        for i in range(node.n_nibbles):
            if prbkit_nibble(node.nibbles, i + first) != prbkit_nibble(k, pos + i):
                return None
        pos += node.n_nibbles
        if pos == total:
            if node.kind == NO_VALUE:
                return None
            if node.kind == INLINE_VALUE:
                return PyBytes_FromStringAndSize(<char *> node.value, <Py_ssize_t> node.value_len)
            return _proof_node(nodes, node.value[:32], "the value of hash")
        slot = prbkit_nibble(k, pos)
        pos += 1
        if node.kids[slot] == NULL:
            return None
        if node.kid_len[slot] == 32:
            held = _proof_node(nodes, node.kids[slot][:32], "the node")
            p = <const uint8_t *> PyBytes_AS_STRING(held)
            size = <size_t> len(held)
        else:
            p = node.kids[slot]
            size = node.kid_len[slot]
        at_root = False
