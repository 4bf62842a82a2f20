# Length walks over the fixed SCALE layouts that a bridge handles (headers, storage changes, …):
# what is spliced is walked once to know where it ends and copied, never decoded. Every read of a
# Walker is checked against the end of its buffer.

from libc.string cimport memcpy

cdef extern from "walk.h" nogil:
    enum:
        PRBKIT_WALK_SHORT
        PRBKIT_WALK_OPTION
        PRBKIT_WALK_LOG
        PRBKIT_WALK_NUMBER
        PRBKIT_WALK_JUSTIFIED
    ctypedef struct prbkit_walk:
        const uint8_t *start
        const uint8_t *p
        const uint8_t *end
        int wrong
        size_t wanted
        const char *text
    int prbkit_walk_skip(prbkit_walk *w, size_t n)
    int prbkit_walk_length(prbkit_walk *w, size_t *n)
    int prbkit_walk_option(prbkit_walk *w, int *some)
    int prbkit_walk_log(prbkit_walk *w)
    int prbkit_walk_header(prbkit_walk *w)
    int prbkit_walk_headers(prbkit_walk *w, size_t count)
    int prbkit_walk_relay(prbkit_walk *w, size_t first, size_t count)
    int prbkit_walk_storage_changes(prbkit_walk *w)

cdef enum:
    HASH_SIZE = 32


def compact(v):
    """SCALE Compact of an integer below 2^128."""
    cdef uint8_t out[9]
    if type(v) is not int or not 0 <= v < 1 << 128:
        raise CodecError(f"expected an int of 128 bits, not negative, got {describe(v)}")
    if v >= 1 << 64:
        size = (v.bit_length() + 7) // 8
        return bytes([(size - 4) << 2 | 3]) + v.to_bytes(size, "little")
    return PyBytes_FromStringAndSize(<char *> out, <Py_ssize_t> prbkit_compact(out, v))


cdef class Walker:
    """A position in SCALE bytes that moves forward; `what` names them in errors."""

    cdef bytes data
    cdef str what
    cdef prbkit_walk w

    def __cinit__(self, data, str what="SCALE"):
        self.data = _own(data)
        self.what = what
        self.w.start = self.w.p = <const uint8_t *> PyBytes_AS_STRING(self.data)
        self.w.end = self.w.start + len(self.data)

    cdef int fail(self, str message) except -1:
        raise CodecError(f"{self.what}: {message}", where=f"byte {self.w.p - self.w.start}")

    cdef int must(self, int failed) except -1:
        # Turn the failure of a walk in C into its error.
        if not failed:
            return 0
        if self.w.wrong == PRBKIT_WALK_SHORT:
            return self.fail(f"{self.w.wanted} bytes are wanted, {self.w.end - self.w.p} are left")
        if self.w.wrong == PRBKIT_WALK_OPTION:
            return self.fail(f"an Option begins with 0 or 1, not {self.w.p[0]}")
        if self.w.wrong == PRBKIT_WALK_LOG:
            return self.fail(f"no digest item has the index {self.w.p[0]}")
        if self.w.wrong == PRBKIT_WALK_NUMBER:
            return self.fail(f"block {self.w.wanted} is wanted here")
        if self.w.wrong == PRBKIT_WALK_JUSTIFIED:
            return self.fail("a justification stands where none should")
        return self.fail(self.w.text.decode())

    cdef int skip(self, size_t n) except -1:
        return self.must(prbkit_walk_skip(&self.w, n))

    cdef size_t length(self) except? 0:
        cdef size_t n = 0
        self.must(prbkit_walk_length(&self.w, &n))
        return n

    cdef bint some(self) except -1:
        cdef int some = 0
        self.must(prbkit_walk_option(&self.w, &some))
        return some

    cdef bytes since(self, const uint8_t *mark):
        return PyBytes_FromStringAndSize(<char *> mark, self.w.p - mark)

    @property
    def offset(self):
        """Bytes read so far."""
        return self.w.p - self.w.start

    @property
    def left(self):
        """Bytes not yet read."""
        return self.w.end - self.w.p

    def slice(self, Py_ssize_t start, Py_ssize_t stop):
        """Copy what was read between two offsets."""
        return self.data[start:stop]

    def refuse(self, str message):
        """Raise CodecError for this place."""
        self.fail(message)

    def done(self):
        """Raise unless everything was read."""
        if self.w.p != self.w.end:
            self.fail(f"{self.w.end - self.w.p} bytes are left over")

    def count(self, size_t least=1):
        """A vector's length, given that an item takes at least that many bytes."""
        cdef const uint8_t *mark = self.w.p
        cdef size_t n = self.length()
        if least and n > <size_t> (self.w.end - self.w.p) // least:
            self.w.p = mark
            self.fail(f"{n} items cannot be in the {self.w.end - self.w.p} bytes that are left")
        return n

    def compact(self):
        """A compact integer of at most 32 bits."""
        return self.length()

    def take(self, size_t n):
        """Exactly n bytes."""
        self.skip(n)
        return PyBytes_FromStringAndSize(<char *> self.w.p - n, <Py_ssize_t> n)

    def u8(self):
        self.skip(1)
        return (self.w.p - 1)[0]

    def u32(self):
        cdef uint32_t v
        self.skip(4)
        memcpy(&v, self.w.p - 4, 4)
        return v

    def u64(self):
        cdef unsigned long long v
        self.skip(8)
        memcpy(&v, self.w.p - 8, 8)
        return v

    def option(self):
        """Whether a value follows."""
        return self.some()

    def blob(self):
        """A Bytes: its length, then that many bytes."""
        cdef size_t n = self.length()
        self.skip(n)
        return PyBytes_FromStringAndSize(<char *> self.w.p - n, <Py_ssize_t> n)

    def blobs(self):
        """A Vec<Bytes> as a list."""
        cdef size_t n = self.count(1)
        cdef list out = []
        while n:
            out.append(self.blob())
            n -= 1
        return out

    def header(self):
        """The SCALE of one header."""
        cdef const uint8_t *mark = self.w.p
        self.must(prbkit_walk_header(&self.w))
        return self.since(mark)

    def log(self):
        """The SCALE of one digest item."""
        cdef const uint8_t *mark = self.w.p
        self.must(prbkit_walk_log(&self.w))
        return self.since(mark)

    def storage_changes(self):
        """The SCALE of one StorageChanges."""
        cdef const uint8_t *mark = self.w.p
        self.must(prbkit_walk_storage_changes(&self.w))
        return self.since(mark)


def header_fields(data):
    """Split a SCALE header: (parent hash, number, state root, extrinsics root, [digest items])."""
    cdef Walker w = Walker(data, "header")
    cdef list logs = []
    cdef size_t n
    parent = w.take(HASH_SIZE)
    number = w.length()
    state = w.take(HASH_SIZE)
    extrinsics = w.take(HASH_SIZE)
    n = w.count(1)
    while n:
        logs.append(w.log())
        n -= 1
    w.done()
    return parent, number, state, extrinsics, logs


def header_number(data):
    """The block number of a SCALE header; nothing after it is looked at."""
    cdef Walker w = Walker(data, "header")
    w.skip(HASH_SIZE)
    return w.length()


def split_headers(data):
    """Take a Vec<Header> apart into SCALE headers."""
    cdef Walker w = Walker(data, "Vec<Header>")
    cdef list out = []
    cdef size_t n = w.count(98)
    while n:
        out.append(w.header())
        n -= 1
    w.done()
    return out


def split_storage_changes(data):
    """Take a Vec<StorageChanges> apart into SCALE StorageChanges."""
    cdef Walker w = Walker(data, "Vec<StorageChanges>")
    cdef list out = []
    cdef size_t n = w.count(2)
    while n:
        out.append(w.storage_changes())
        n -= 1
    w.done()
    return out


def check_header(data):
    """Raise unless the bytes are exactly one SCALE header."""
    cdef Walker w = Walker(data, "header")
    w.must(prbkit_walk_header(&w.w))
    w.done()


def check_storage_changes(data):
    """Raise unless the bytes are exactly one SCALE StorageChanges."""
    cdef Walker w = Walker(data, "storage changes")
    w.must(prbkit_walk_storage_changes(&w.w))
    w.done()


cdef list _decode_changes(Walker w):
    cdef size_t n = w.count(2)
    cdef list out = []
    while n:
        key = w.blob()
        out.append((key, w.blob() if w.some() else None))
        n -= 1
    return out


def decode_storage_changes(data):
    """(main, children) as lists: [(key, value or None)] and [(child, [(key, value or None)])]."""
    cdef Walker w = Walker(data, "storage changes")
    main = _decode_changes(w)
    cdef list children = []
    cdef size_t n = w.count(2)
    while n:
        name = w.blob()
        children.append((name, _decode_changes(w)))
        n -= 1
    w.done()
    return main, children


def check_relay_body(data, size_t first, size_t count):
    """Raise unless these are HeaderToSyncs without justification of blocks first, first + 1, …"""
    cdef Walker w = Walker(data, "relay headers")
    w.must(prbkit_walk_relay(&w.w, first, count))
    w.done()


def skip_relay_headers(data, size_t count):
    """The offset behind so many HeaderToSyncs without justification."""
    cdef Walker w = Walker(data, "relay headers")
    while count:
        w.must(prbkit_walk_header(&w.w))
        w.skip(1)
        count -= 1
    return w.w.p - w.w.start


def check_headers(data, size_t first, size_t count):
    """Raise unless this is a Vec<Header> of so many headers, the first of them block `first`."""
    cdef Walker w = Walker(data, "Vec<Header>")
    cdef const uint8_t *mark
    cdef size_t given = w.count(98)
    if given != count:
        w.fail(f"{count} headers from {first} on are wanted, {given} are given")
    mark = w.w.p
    if count:
        w.skip(HASH_SIZE)
        if w.length() != first:
            w.fail(f"header {first} is wanted first")
    w.w.p = mark
    w.must(prbkit_walk_headers(&w.w, count))
    w.done()
