# Plans of the types that hold no others: integers, compacts, bool, text, bytes, bits.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsUnsignedLongLong, PyLong_FromUnsignedLongLong
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from "Python.h":
    object _PyLong_FromByteArray(
        const unsigned char *data, size_t size, int little_endian, int is_signed
    )


@cython.no_gc
cdef class ScalePlan:
    """How one type is decoded, encoded and skipped, without a look at the metadata.

    Every plan is one such object, shared by all the types it stands for; the values it makes are
    plain Python objects. `floor` is the fewest bytes a value takes. `fixed` is the size of every
    value where any bytes of that size are one, else -1. Both are set by `measure`.

    Plans of recursive types hold each other, and there are thousands: instead of having the
    collector look after them, the registry that owns them takes them apart (`unlink`).
    """

    cdef readonly Py_ssize_t floor
    cdef readonly Py_ssize_t fixed
    cdef int measured
    # How to skip a value without a plan; its pointers lead into other plans' `node`.
    cdef prbkit_skip node
    # Structs, tuples and arrays within each other, down to where a value may end.
    cdef int height

    def __cinit__(self):
        self.floor = 1
        self.fixed = -1

    cdef object decode(self, ScaleReader *r):
        raise NotImplementedError

    cdef int skip(self, ScaleReader *r) except -1:
        raise NotImplementedError

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        raise NotImplementedError

    cdef str step_name(self, Py_ssize_t step):
        return ""

    cdef int measure(self, int depth) except -1:
        return 0

    cdef int unlink(self) except -1:
        return 0

    cdef int compile_skip(self) except -1:
        """Fill `node`, when this plan and its parts are measured."""
        if self.fixed > 0:
            self.node.op = PRBKIT_SKIP_FIXED
            self.node.size = <size_t>self.fixed
        return 0


cdef inline object long_from(const uint8_t *p, Py_ssize_t size, bint signed):
    return _PyLong_FromByteArray(p, size, 1, signed)


cdef bint is_int(object value):
    return isinstance(value, int) and not isinstance(value, bool)


@cython.no_gc
@cython.final
cdef class UintPlan(ScalePlan):
    """u8 to u64."""

    cdef int size
    cdef uint64_t limit

    def __cinit__(self, int size):
        self.size = size
        self.floor = self.fixed = size
        self.limit = <uint64_t>-1 if size == 8 else (<uint64_t>1 << (8 * size)) - 1

    cdef object decode(self, ScaleReader *r):
        cdef const uint8_t *p = reader_take(r, self.size)
        if self.size == 1:
            return p[0]
        if self.size == 2:
            return load_u16(p)
        if self.size == 4:
            return load_u32(p)
        return load_u64(p)

    cdef int skip(self, ScaleReader *r) except -1:
        reader_take(r, self.size)
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        return writer_uint(w, self.checked(value, w), self.size)

    cdef uint64_t checked(self, object value, ScaleWriter *w) except? 0xFFFF:
        cdef uint64_t number = 0
        if not is_int(value):
            writer_wrong(w, f"an int of {8 * self.size} bits", value)
        try:
            number = PyLong_AsUnsignedLongLong(value)
        except OverflowError:
            writer_wrong(w, f"an int of {8 * self.size} bits, not negative", value)
        if number > self.limit:
            writer_wrong(w, f"an int of {8 * self.size} bits", value)
        return number


@cython.no_gc
@cython.final
cdef class WideIntPlan(ScalePlan):
    """u128, u256 and the signed integers."""

    cdef int size
    cdef bint signed

    def __cinit__(self, int size, bint signed):
        self.size = size
        self.signed = signed
        self.floor = self.fixed = size

    cdef object decode(self, ScaleReader *r):
        cdef const uint8_t *p = reader_take(r, self.size)
        if self.size == 16 and not self.signed and load_u64(p + 8) == 0:
            return PyLong_FromUnsignedLongLong(load_u64(p))
        return long_from(p, self.size, self.signed)

    cdef int skip(self, ScaleReader *r) except -1:
        reader_take(r, self.size)
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        sign = "signed" if self.signed else "unsigned"
        if not is_int(value):
            return writer_wrong(w, f"an {sign} int of {8 * self.size} bits", value)
        try:
            raw = int.to_bytes(value, self.size, "little", signed=self.signed)
        except OverflowError:
            return writer_wrong(w, f"an {sign} int of {8 * self.size} bits", value)
        return writer_put(w, PyBytes_AS_STRING(raw), self.size)


@cython.no_gc
@cython.final
cdef class CompactPlan(ScalePlan):
    """Compact<u8> to Compact<u128>."""

    cdef int size

    def __cinit__(self, int size):
        self.size = size

    cdef int read(self, ScaleReader *r, uint64_t *low, uint64_t *high) except -1:
        cdef const uint8_t *p = r.pos
        reader_compact(r, low, high)
        if self.size < 16 and (high[0] or (self.size < 8 and low[0] >> (8 * self.size))):
            r.pos = p
            return reader_fail(r, f"compact does not fit {8 * self.size} bits")
        return 0

    cdef int compile_skip(self) except -1:
        self.node.op = PRBKIT_SKIP_COMPACT
        self.node.size = <size_t>self.size
        return 0

    cdef object decode(self, ScaleReader *r):
        cdef uint64_t low, high
        self.read(r, &low, &high)
        if high == 0:
            return PyLong_FromUnsignedLongLong(low)
        return (PyLong_FromUnsignedLongLong(high) << 64) | PyLong_FromUnsignedLongLong(low)

    cdef int skip(self, ScaleReader *r) except -1:
        cdef uint64_t low, high
        return self.read(r, &low, &high)

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        cdef int size
        if not is_int(value) or value < 0 or value.bit_length() > 8 * self.size:
            return writer_wrong(w, f"an int of {8 * self.size} bits, not negative", value)
        size = (value.bit_length() + 7) // 8
        if size <= 8:
            return writer_compact(w, PyLong_AsUnsignedLongLong(value))
        raw = int.to_bytes(value, size, "little")
        writer_byte(w, <uint8_t>(((size - 4) << 2) | 3))
        return writer_put(w, PyBytes_AS_STRING(raw), size)


@cython.no_gc
@cython.final
cdef class BoolPlan(ScalePlan):
    cdef int compile_skip(self) except -1:
        self.node.op = PRBKIT_SKIP_BOOL
        return 0

    cdef object decode(self, ScaleReader *r):
        cdef const uint8_t *p = r.pos
        self.skip(r)
        return p[0] == 1

    cdef int skip(self, ScaleReader *r) except -1:
        if r.pos == r.end:
            return reader_short(r, 1)
        if r.pos[0] > 1:
            return reader_fail(r, f"bool is {r.pos[0]}")
        r.pos += 1
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if not isinstance(value, bool):
            return writer_wrong(w, "a bool", value)
        return writer_byte(w, value is True)


@cython.no_gc
@cython.final
cdef class CharPlan(ScalePlan):
    """A Rust char: a u32 that is a Unicode scalar value."""

    def __cinit__(self):
        self.floor = 4

    cdef object decode(self, ScaleReader *r):
        self.skip(r)
        return chr(load_u32(r.pos - 4))

    cdef int skip(self, ScaleReader *r) except -1:
        cdef uint32_t point = load_u32(reader_take(r, 4))
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            r.pos -= 4
            return reader_fail(r, f"char is {point:#x}")
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if not isinstance(value, str) or len(value) != 1 or 0xD800 <= ord(value) <= 0xDFFF:
            return writer_wrong(w, "a str of one character", value)
        return writer_uint(w, ord(value), 4)


@cython.no_gc
@cython.final
cdef class TextPlan(ScalePlan):
    cdef int compile_skip(self) except -1:
        self.node.op = PRBKIT_SKIP_TEXT
        return 0

    cdef object decode(self, ScaleReader *r):
        return reader_text(r)

    cdef int skip(self, ScaleReader *r) except -1:
        reader_text(r)
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if not isinstance(value, str):
            return writer_wrong(w, "a str", value)
        try:
            raw = str.encode(value)
        except UnicodeEncodeError:
            return writer_wrong(w, "a str without lone surrogates", value)
        writer_length(w, len(raw))
        return writer_put(w, PyBytes_AS_STRING(raw), len(raw))


@cython.no_gc
@cython.final
cdef class BytesPlan(ScalePlan):
    """Vec<u8>."""

    cdef int compile_skip(self) except -1:
        self.node.op = PRBKIT_SKIP_BYTES
        return 0

    cdef object decode(self, ScaleReader *r):
        cdef Py_ssize_t size = reader_length(r, 1)
        cdef const uint8_t *p = r.pos
        r.pos += size
        return PyBytes_FromStringAndSize(<const char *>p, size)

    cdef int skip(self, ScaleReader *r) except -1:
        cdef Py_ssize_t size = reader_length(r, 1)
        r.pos += size
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            return writer_wrong(w, "bytes", value)
        cdef bytes raw = as_bytes(value)
        writer_length(w, PyBytes_GET_SIZE(raw))
        return writer_put(w, PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw))


@cython.no_gc
@cython.final
cdef class FixedBytesPlan(ScalePlan):
    """[u8; n]: hashes, account ids, signatures."""

    cdef Py_ssize_t size

    def __cinit__(self, Py_ssize_t size):
        self.size = size
        self.floor = self.fixed = size

    cdef object decode(self, ScaleReader *r):
        return PyBytes_FromStringAndSize(<const char *>reader_take(r, self.size), self.size)

    cdef int skip(self, ScaleReader *r) except -1:
        reader_take(r, self.size)
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            return writer_wrong(w, f"{self.size} bytes", value)
        cdef bytes raw = as_bytes(value)
        if PyBytes_GET_SIZE(raw) != self.size:
            return writer_wrong(w, f"{self.size} bytes", value)
        return writer_put(w, PyBytes_AS_STRING(raw), self.size)


@cython.no_gc
@cython.final
cdef class UnitPlan(ScalePlan):
    """Whatever takes no bytes and has no parts: (), a fieldless struct, Compact<()>."""

    def __cinit__(self):
        self.floor = self.fixed = 0

    cdef int compile_skip(self) except -1:
        self.node.op = PRBKIT_SKIP_FIXED
        return 0

    cdef object decode(self, ScaleReader *r):
        return ()

    cdef int skip(self, ScaleReader *r) except -1:
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if not isinstance(value, (tuple, list)) or len(value):
            return writer_wrong(w, "()", value)
        return 0


@cython.no_gc
@cython.final
cdef class BitsPlan(ScalePlan):
    """BitVec: a count of bits, then whole words of 8 to 64 bits, little-endian."""

    cdef int word
    cdef bint msb

    def __cinit__(self, int word, bint msb):
        self.word = word
        self.msb = msb

    cdef inline Py_ssize_t byte_at(self, Py_ssize_t bit) noexcept:
        # Msb0 counts from the top of a word, whose bytes stand little end first.
        cdef Py_ssize_t start = (bit // (8 * self.word)) * self.word
        cdef Py_ssize_t inside = (bit % (8 * self.word)) // 8
        return start + (self.word - 1 - inside if self.msb else inside)

    cdef inline uint8_t mask_at(self, Py_ssize_t bit) noexcept:
        return 0x80 >> (bit & 7) if self.msb else 1 << (bit & 7)

    cdef const uint8_t *words(self, ScaleReader *r, Py_ssize_t *bits) except NULL:
        cdef const uint8_t *p = r.pos
        cdef uint64_t low, high
        reader_compact(r, &low, &high)
        if high or low > 0xFFFFFFFF:
            r.pos = p
            reader_fail(r, "length does not fit 32 bits")
        bits[0] = <Py_ssize_t>low
        return reader_take(r, (bits[0] + 8 * self.word - 1) // (8 * self.word) * self.word)

    cdef object decode(self, ScaleReader *r):
        cdef Py_ssize_t bits, i
        cdef const uint8_t *p = self.words(r, &bits)
        return [p[self.byte_at(i)] & self.mask_at(i) != 0 for i in range(bits)]

    cdef int skip(self, ScaleReader *r) except -1:
        cdef Py_ssize_t bits
        self.words(r, &bits)
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        cdef Py_ssize_t i, size
        cdef uint8_t *p
        if not isinstance(value, (list, tuple)):
            return writer_wrong(w, "a list of bool", value)
        value = tuple(value)
        writer_length(w, len(value))
        size = (len(value) + 8 * self.word - 1) // (8 * self.word) * self.word
        p = writer_room(w, size)
        for i in range(size):
            p[i] = 0
        for i, bit in enumerate(value):
            if not isinstance(bit, bool):
                return writer_wrong(w, f"a bool as bit {i}", bit)
            if bit:
                p[self.byte_at(i)] |= self.mask_at(i)
        return 0


cdef inline int skip_plan(ScalePlan plan, ScaleReader *r) except -1:
    """Skip a value the fast way, or where that won't do, as its plan does."""
    cdef const uint8_t *end = prbkit_skip_value(&plan.node, r.pos, r.end, 0)
    if end == NULL:
        return plan.skip(r)
    r.pos = end
    return 0
