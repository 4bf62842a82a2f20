# Length walks over the fixed SCALE layouts that a bridge handles (headers, storage changes, …):
# what is spliced is walked once to know where it ends and copied, never decoded. Every read of a
# Walker is checked against the end of its buffer.

from libc.string cimport memcpy

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
    cdef const uint8_t *start
    cdef const uint8_t *p
    cdef const uint8_t *end

    def __cinit__(self, data, str what="SCALE"):
        self.data = _own(data)
        self.what = what
        self.start = <const uint8_t *> PyBytes_AS_STRING(self.data)
        self.p = self.start
        self.end = self.start + len(self.data)

    cdef int fail(self, str message) except -1:
        raise CodecError(f"{self.what}: {message}", where=f"byte {self.p - self.start}")

    cdef int skip(self, size_t n) except -1:
        if <size_t> (self.end - self.p) < n:
            self.fail(f"{n} bytes are wanted, {self.end - self.p} are left")
        self.p += n
        return 0

    cdef size_t length(self) except? 0:
        # A compact of 32 bits: a length or a block number.
        cdef size_t n = 0
        cdef const char *wrong = _read_compact32(&self.p, self.end, &n)
        if wrong != NULL:
            self.fail(wrong.decode())
        return n

    cdef int skip_blob(self) except -1:
        return self.skip(self.length())

    cdef int skip_option(self) except -1:
        # 1 where a value follows.
        self.skip(1)
        if (self.p - 1)[0] > 1:
            self.p -= 1
            self.fail(f"an Option begins with 0 or 1, not {self.p[0]}")
        return (self.p - 1)[0]

    cdef int skip_log(self) except -1:
        self.skip(1)
        cdef unsigned int tag = (self.p - 1)[0]
        if tag == 4 or tag == 5 or tag == 6:
            self.skip(4)
            return self.skip_blob()
        if tag == 0:
            return self.skip_blob()
        if tag != 8:
            self.p -= 1
            self.fail(f"no digest item has the index {tag}")
        return 0

    cdef int skip_header(self) except -1:
        cdef size_t n
        self.skip(HASH_SIZE)
        self.length()
        self.skip(2 * HASH_SIZE)
        n = self.length()
        while n:
            self.skip_log()
            n -= 1
        return 0

    cdef int skip_changes(self) except -1:
        # A collection of (key, Option<value>).
        cdef size_t n = self.length()
        while n:
            self.skip_blob()
            if self.skip_option():
                self.skip_blob()
            n -= 1
        return 0

    cdef int skip_storage_changes(self) except -1:
        cdef size_t n
        self.skip_changes()
        n = self.length()
        while n:
            self.skip_blob()
            self.skip_changes()
            n -= 1
        return 0

    cdef bytes since(self, const uint8_t *mark):
        return PyBytes_FromStringAndSize(<char *> mark, self.p - mark)

    @property
    def offset(self):
        """Bytes read so far."""
        return self.p - self.start

    @property
    def left(self):
        """Bytes not yet read."""
        return self.end - self.p

    def slice(self, Py_ssize_t start, Py_ssize_t stop):
        """Copy what was read between two offsets."""
        return self.data[start:stop]

    def refuse(self, str message):
        """Raise CodecError for this place."""
        self.fail(message)

    def done(self):
        """Raise unless everything was read."""
        if self.p != self.end:
            self.fail(f"{self.end - self.p} bytes are left over")

    def count(self, size_t least=1):
        """A vector's length, given that an item takes at least that many bytes."""
        cdef const uint8_t *mark = self.p
        cdef size_t n = self.length()
        if least and n > <size_t> (self.end - self.p) // least:
            self.p = mark
            self.fail(f"{n} items cannot be in the {self.end - self.p} bytes that are left")
        return n

    def compact(self):
        """A compact integer of at most 32 bits."""
        return self.length()

    def take(self, size_t n):
        """Exactly n bytes."""
        self.skip(n)
        return PyBytes_FromStringAndSize(<char *> self.p - n, <Py_ssize_t> n)

    def u8(self):
        self.skip(1)
        return (self.p - 1)[0]

    def u32(self):
        cdef uint32_t v
        self.skip(4)
        memcpy(&v, self.p - 4, 4)
        return v

    def u64(self):
        cdef unsigned long long v
        self.skip(8)
        memcpy(&v, self.p - 8, 8)
        return v

    def option(self):
        """Whether a value follows."""
        return self.skip_option() == 1

    def blob(self):
        """A Bytes: its length, then that many bytes."""
        cdef size_t n = self.length()
        self.skip(n)
        return PyBytes_FromStringAndSize(<char *> self.p - n, <Py_ssize_t> n)

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
        cdef const uint8_t *mark = self.p
        self.skip_header()
        return self.since(mark)

    def log(self):
        """The SCALE of one digest item."""
        cdef const uint8_t *mark = self.p
        self.skip_log()
        return self.since(mark)

    def storage_changes(self):
        """The SCALE of one StorageChanges."""
        cdef const uint8_t *mark = self.p
        self.skip_storage_changes()
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
    w.skip_header()
    w.done()


def check_storage_changes(data):
    """Raise unless the bytes are exactly one SCALE StorageChanges."""
    cdef Walker w = Walker(data, "storage changes")
    w.skip_storage_changes()
    w.done()


cdef list _decode_changes(Walker w):
    cdef size_t n = w.count(2)
    cdef list out = []
    while n:
        key = w.blob()
        out.append((key, w.blob() if w.skip_option() else None))
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
    cdef const uint8_t *mark
    cdef size_t i
    for i in range(count):
        mark = w.p
        w.skip(HASH_SIZE)
        if w.length() != first + i:
            w.fail(f"block {first + i} is wanted here")
        w.p = mark
        w.skip_header()
        if w.skip_option():
            w.fail("a justification stands where none should")
    w.done()


def skip_relay_headers(data, size_t count):
    """The offset behind so many HeaderToSyncs without justification."""
    cdef Walker w = Walker(data, "relay headers")
    while count:
        w.skip_header()
        w.skip(1)
        count -= 1
    return w.p - w.start
