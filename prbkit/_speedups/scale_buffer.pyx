# Bounds-checked reading and growing writing of SCALE. A reader and a writer live on the C stack;
# both keep the chain of plans that led to where they are, so that an error can name the place
# without a cost on the way.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    # Both return whether the cyclic collector was on. It is paused while many values are made,
    # none of which can be garbage yet: else it walks through all of them again and again, and
    # with them through all that the program holds.
    int PyGC_Disable()
    int PyGC_Enable()
    # For tuples that hold nothing the collector looks after: it would find that out itself.
    void PyObject_GC_UnTrack(PyObject *o)

cdef extern from "compact.h" nogil:
    size_t prbkit_compact(uint8_t *out, uint64_t v)
    const char *prbkit_read_compact(const uint8_t **at, const uint8_t *end, size_t *out)

cdef extern from "skip.h" nogil:
    enum:
        PRBKIT_SKIP_FIXED
        PRBKIT_SKIP_BOOL
        PRBKIT_SKIP_COMPACT
        PRBKIT_SKIP_BYTES
        PRBKIT_SKIP_TEXT
        PRBKIT_SKIP_SEQUENCE
        PRBKIT_SKIP_ARRAY
        PRBKIT_SKIP_FIELDS
        PRBKIT_SKIP_OPTION
        PRBKIT_SKIP_VARIANT
    ctypedef struct prbkit_skip_case:
        int known
        const prbkit_skip *inner
        size_t size
    ctypedef struct prbkit_skip:
        int op
        size_t size
        size_t floor
        size_t count
        const prbkit_skip *inner
        const prbkit_skip **parts
        prbkit_skip_case *cases
    const uint8_t *prbkit_skip_value(
        const prbkit_skip *n, const uint8_t *p, const uint8_t *end, int depth
    )

cdef enum:
    # Containers within containers. Each makes one level of Python objects, so that a decoded
    # value can still be compared and printed under the interpreter's own limit of 1000.
    SCALE_MAX_DEPTH = 512
    # Zero-sized items that one decode may make: their count costs the sender nothing.
    SCALE_MAX_EMPTY = 65536
    # Items of a list made before the first is read; beyond, a list grows as its items come in,
    # so that nested length prefixes cannot each claim all of the remaining bytes.
    SCALE_PREALLOC = 1024


cdef struct ScaleFrame:
    PyObject *plan
    Py_ssize_t step


cdef struct ScaleReader:
    const uint8_t *start
    const uint8_t *pos
    const uint8_t *end
    Py_ssize_t empty_left
    int depth
    ScaleFrame frames[SCALE_MAX_DEPTH]


cdef struct ScaleWriter:
    uint8_t *data
    Py_ssize_t size
    Py_ssize_t capacity
    # Most values end before memory has to be asked for.
    uint8_t small[256]
    int depth
    ScaleFrame frames[SCALE_MAX_DEPTH]


cdef str frames_path(ScaleFrame *frames, int depth):
    cdef int i
    path = ["$"]
    for i in range(depth):
        # A hostile value may nest to the limit: its middle tells nothing.
        if depth > 40 and 20 <= i < depth - 20:
            if i == 20:
                path.append(" … ")
            continue
        path.append((<ScalePlan>frames[i].plan).step_name(frames[i].step))
    return "".join(path)


# --- reading -------------------------------------------------------------------------------------


cdef inline void reader_init(ScaleReader *r, bytes data, Py_ssize_t offset) noexcept:
    r.start = <const uint8_t *>PyBytes_AS_STRING(data)
    r.pos = r.start + offset
    r.end = r.start + PyBytes_GET_SIZE(data)
    r.empty_left = SCALE_MAX_EMPTY
    r.depth = 0


cdef int reader_fail(ScaleReader *r, str message) except -1:
    path = frames_path(r.frames, r.depth)
    raise CodecError(f"{message} at {path}, byte {r.pos - r.start}")


cdef int reader_short(ScaleReader *r, uint64_t wanted) except -1:
    return reader_fail(r, f"{wanted} bytes wanted, {r.end - r.pos} left")


cdef inline const uint8_t *reader_take(ScaleReader *r, Py_ssize_t size) except NULL:
    cdef const uint8_t *p = r.pos
    if size > r.end - p:
        reader_short(r, size)
    r.pos = p + size
    return p


cdef inline int reader_enter(ScaleReader *r, PyObject *plan) except -1:
    if r.depth >= SCALE_MAX_DEPTH:
        return reader_fail(r, f"values nest deeper than {SCALE_MAX_DEPTH} levels")
    r.frames[r.depth].plan = plan
    r.frames[r.depth].step = -1
    r.depth += 1
    return 0


cdef inline int reader_charge_empty(ScaleReader *r, uint64_t count) except -1:
    if count > <uint64_t>r.empty_left:
        return reader_fail(r, f"more than {SCALE_MAX_EMPTY} zero-sized items")
    r.empty_left -= <Py_ssize_t>count
    return 0


cdef inline uint16_t load_u16(const uint8_t *p) noexcept:
    return <uint16_t>(p[0] | (<uint32_t>p[1] << 8))


cdef inline uint32_t load_u32(const uint8_t *p) noexcept:
    return (
        <uint32_t>p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16) | (<uint32_t>p[3] << 24)
    )


cdef inline uint64_t load_u64(const uint8_t *p) noexcept:
    return <uint64_t>load_u32(p) | (<uint64_t>load_u32(p + 4) << 32)


cdef int reader_compact(ScaleReader *r, uint64_t *low, uint64_t *high) except -1:
    """Read a compact of up to 128 bits; one not in its shortest form is refused."""
    cdef const uint8_t *p = r.pos
    cdef Py_ssize_t left = r.end - p, size, i
    cdef uint64_t value
    high[0] = 0
    if left < 1:
        return reader_short(r, 1)
    cdef int mode = p[0] & 3
    if mode == 0:
        low[0] = p[0] >> 2
        r.pos += 1
        return 0
    if mode == 1:
        if left < 2:
            return reader_short(r, 2)
        value = load_u16(p) >> 2
        if value < 1 << 6:
            return reader_fail(r, "compact is not in its shortest form")
        low[0] = value
        r.pos += 2
        return 0
    if mode == 2:
        if left < 4:
            return reader_short(r, 4)
        value = load_u32(p) >> 2
        if value < 1 << 14:
            return reader_fail(r, "compact is not in its shortest form")
        low[0] = value
        r.pos += 4
        return 0
    size = (p[0] >> 2) + 4
    if size > 16:
        return reader_fail(r, f"compact of {size} bytes, at most 16 fit any type")
    if left < 1 + size:
        return reader_short(r, 1 + size)
    value = 0
    for i in range(min(size, 8)):
        value |= <uint64_t>p[1 + i] << (8 * i)
    low[0] = value
    value = 0
    for i in range(8, size):
        value |= <uint64_t>p[1 + i] << (8 * (i - 8))
    high[0] = value
    if p[size] == 0 if size > 4 else low[0] < 1 << 30:
        return reader_fail(r, "compact is not in its shortest form")
    r.pos += 1 + size
    return 0


cdef inline Py_ssize_t reader_length(ScaleReader *r, Py_ssize_t floor) except -1:
    """Read the count of a sequence whose items take at least `floor` bytes each."""
    cdef const uint8_t *p = r.pos
    cdef uint64_t low, high
    if p < r.end and p[0] & 3 == 0:
        low = p[0] >> 2
        r.pos += 1
    else:
        reader_compact(r, &low, &high)
        if high or low > 0xFFFFFFFF:
            r.pos = p
            return reader_fail(r, "length does not fit 32 bits")
    if floor == 0:
        reader_charge_empty(r, low)
    elif low > <uint64_t>((r.end - r.pos) // floor):
        claim = f"{low} items of at least {floor} bytes claimed, {r.end - r.pos} bytes left"
        r.pos = p
        return reader_fail(r, claim)
    return <Py_ssize_t>low


cdef object reader_text(ScaleReader *r):
    cdef Py_ssize_t size = reader_length(r, 1)
    cdef const uint8_t *p = r.pos
    try:
        text = PyUnicode_DecodeUTF8(<const char *>p, size, NULL)
    except UnicodeDecodeError as e:
        reader_fail(r, f"text is not UTF-8 ({e.reason})")
    r.pos += size
    return text


cdef bytes as_bytes(object data):
    if type(data) is bytes:
        return data
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise CodecError(f"expected bytes, got {type(data).__name__}")


# --- writing -------------------------------------------------------------------------------------


cdef inline void writer_init(ScaleWriter *w) noexcept:
    w.data = w.small
    w.size = 0
    w.capacity = sizeof(w.small)
    w.depth = 0


cdef inline void writer_free(ScaleWriter *w) noexcept:
    if w.data != w.small:
        PyMem_Free(w.data)


cdef int writer_grow(ScaleWriter *w, Py_ssize_t extra) except -1:
    cdef Py_ssize_t capacity = max(w.size + extra, 2 * w.capacity)
    cdef void *data = PyMem_Realloc(NULL if w.data == w.small else w.data, capacity)
    if data == NULL:
        raise MemoryError()
    if w.data == w.small:
        memcpy(data, w.small, w.size)
    w.data = <uint8_t *>data
    w.capacity = capacity
    return 0


cdef inline uint8_t *writer_room(ScaleWriter *w, Py_ssize_t size) except NULL:
    if size > w.capacity - w.size:
        writer_grow(w, size)
    cdef uint8_t *p = w.data + w.size
    w.size += size
    return p


cdef inline int writer_put(ScaleWriter *w, const void *data, Py_ssize_t size) except -1:
    memcpy(writer_room(w, size), data, size)
    return 0


cdef inline int writer_byte(ScaleWriter *w, uint8_t value) except -1:
    writer_room(w, 1)[0] = value
    return 0


cdef int writer_uint(ScaleWriter *w, uint64_t value, int size) except -1:
    cdef uint8_t *p = writer_room(w, size)
    cdef int i
    for i in range(size):
        p[i] = <uint8_t>(value >> (8 * i))
    return 0


cdef int writer_compact(ScaleWriter *w, uint64_t value) except -1:
    cdef uint8_t out[9]
    return writer_put(w, out, <Py_ssize_t>prbkit_compact(out, value))


cdef int writer_length(ScaleWriter *w, Py_ssize_t count) except -1:
    if <uint64_t>count > 0xFFFFFFFF:
        return writer_fail(w, "more than 2^32 items")
    return writer_compact(w, count)


cdef inline int writer_enter(ScaleWriter *w, PyObject *plan) except -1:
    if w.depth >= SCALE_MAX_DEPTH:
        return writer_fail(w, f"values nest deeper than {SCALE_MAX_DEPTH} levels")
    w.frames[w.depth].plan = plan
    w.frames[w.depth].step = -1
    w.depth += 1
    return 0


cdef int writer_fail(ScaleWriter *w, str message) except -1:
    raise CodecError(f"{message} at {frames_path(w.frames, w.depth)}")


cdef int writer_wrong(ScaleWriter *w, str expected, object value) except -1:
    return writer_fail(w, f"expected {expected}, got {describe(value)}")


cdef str describe(object value):
    """Say what a value is, in a few words however large it is."""
    kind = type(value).__name__
    if isinstance(value, (bool, type(None))):
        return repr(value)
    if isinstance(value, int):
        return f"int {value}" if value.bit_length() <= 256 else f"int of {value.bit_length()} bits"
    if isinstance(value, str):
        return f"str {value!r}" if len(value) <= 40 else f"str of {len(value)} characters"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{kind} of {len(value)}"
    if isinstance(value, (list, tuple, dict)):
        return f"{kind} of {len(value)} items"
    return kind
