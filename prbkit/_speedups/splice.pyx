# Joining bytes that lie in many places: the lengths are added up once, memory is asked for once,
# and the copying of much is done with the GIL released.

from cpython.ref cimport Py_DECREF, Py_INCREF

cdef extern from "stdlib.h" nogil:
    void c_free "free"(void *p)
    void *c_realloc "realloc"(void *p, size_t size)


cdef struct Piece:
    PyObject *owner
    const uint8_t *data
    size_t size


cdef enum:
    RELEASE_COPY_FROM = 1 << 16


cdef uint8_t[2] SPLICE_BYTES = [0, 1]


cdef class Splicer:
    # Holds on to the bytes objects that its pieces lie in, since others may drop theirs meanwhile.
    cdef Piece *pieces
    cdef size_t count
    cdef size_t room
    cdef size_t total

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.count):
            if self.pieces[i].owner != NULL:
                Py_DECREF(<object> self.pieces[i].owner)
        c_free(self.pieces)

    cdef int reserve(self, size_t more) except -1:
        cdef Piece *pieces
        if self.room - self.count >= more:
            return 0
        self.room = max(2 * self.room, self.count + more)
        pieces = <Piece *> c_realloc(self.pieces, self.room * sizeof(Piece))
        if pieces == NULL:
            self.room = self.count
            raise MemoryError
        self.pieces = pieces
        return 0

    cdef inline void put(self, bytes owner, const uint8_t *data, size_t size) noexcept:
        # There must be room.
        cdef Piece *piece = &self.pieces[self.count]
        Py_INCREF(owner)
        piece.owner = <PyObject *> owner
        piece.data = data
        piece.size = size
        self.count += 1
        self.total += size

    cdef inline int whole(self, object data) except -1:
        cdef bytes held = _own(data)
        self.put(
            held, <const uint8_t *> PyBytes_AS_STRING(held), <size_t> PyBytes_GET_SIZE(held)
        )
        return 0

    cdef inline void byte(self, uint8_t value) noexcept:
        # There must be room. 0 or 1.
        cdef Piece *piece = &self.pieces[self.count]
        piece.owner = NULL
        piece.data = &SPLICE_BYTES[value]
        piece.size = 1
        self.count += 1
        self.total += 1

    cdef int length(self, size_t value) except -1:
        # There must be room.
        cdef uint8_t out[9]
        cdef size_t n = prbkit_compact(out, value)
        return self.whole(PyBytes_FromStringAndSize(<char *> out, <Py_ssize_t> n))

    cdef bytes join(self):
        cdef bytes out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> self.total)
        cdef uint8_t *to = <uint8_t *> PyBytes_AS_STRING(out)
        if self.total < RELEASE_COPY_FROM:
            self.copy(to)
        else:
            with nogil:
                self.copy(to)
        return out

    cdef void copy(self, uint8_t *to) noexcept nogil:
        cdef size_t i
        for i in range(self.count):
            memcpy(to, self.pieces[i].data, self.pieces[i].size)
            to += self.pieces[i].size


def splice(list parts not None):
    """Join parts: each bytes, or (bytes, start, stop) for a part of them, or a list of bytes."""
    cdef Splicer out = Splicer()
    cdef bytes held
    cdef Py_ssize_t start, stop
    cdef tuple items
    for part in parts:
        if type(part) is tuple:
            held, start, stop = part
            if held is None or not 0 <= start <= stop <= len(held):
                raise ValueError("a part lies outside of its bytes")
            out.reserve(1)
            out.put(
                held, <const uint8_t *> PyBytes_AS_STRING(held) + start, <size_t> (stop - start)
            )
        elif type(part) is list:
            items = tuple(part)
            out.reserve(<size_t> len(items))
            for item in items:
                out.whole(item)
        else:
            out.reserve(1)
            out.whole(part)
    return out.join()


def headers_to_sync(relay):
    """Vec<HeaderToSync> of (SCALE header, SCALE justification or None)."""
    cdef Splicer out = Splicer()
    cdef tuple items = tuple(relay)
    out.reserve(4 * <size_t> len(items) + 1)
    out.length(<size_t> len(items))
    for header, justification in items:
        out.whole(header)
        if justification is None:
            out.byte(0)
        else:
            justification = _own(justification)
            out.byte(1)
            out.length(<size_t> len(<bytes> justification))
            out.whole(justification)
    return out.join()
