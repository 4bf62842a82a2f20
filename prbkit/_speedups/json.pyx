# From JSON-RPC's hex to SCALE without a value in between: headers and storage changes.

from cpython.unicode cimport PyUnicode_AsUTF8AndSize

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)

cdef extern from "hex.h" nogil:
    int prbkit_unhex(const char *text, size_t bytes, uint8_t *out)

cdef extern from "trie.h" nogil:
    int prbkit_buf_room(prbkit_buf *b, size_t more)
    void prbkit_buf_compact(prbkit_buf *b, unsigned long long v)

cdef extern from "header_json.h" nogil:
    ctypedef struct prbkit_header_text:
        pass
    int prbkit_header_parse(const uint8_t *p, const uint8_t *end, prbkit_header_text *h)
    size_t prbkit_header_room(const prbkit_header_text *h)
    size_t prbkit_header_write(const prbkit_header_text *h, const uint8_t *end, uint8_t *out)


cdef class HexWriter:
    # Collects SCALE from hex texts.
    cdef prbkit_buf b

    def __dealloc__(self):
        c_free(self.b.data)

    cdef int room(self, size_t n) except -1:
        if prbkit_buf_room(&self.b, n):
            raise MemoryError
        return 0

    cdef int count(self, size_t n) except -1:
        self.room(9)
        prbkit_buf_compact(&self.b, n)
        return 0

    cdef int byte(self, uint8_t v) except -1:
        self.room(1)
        self.b.data[self.b.len] = v
        self.b.len += 1
        return 0

    cdef size_t hex(self, object text, str what, bint prefixed, Py_ssize_t size=-1) except? 0:
        # Append the bytes of a 0x text, behind their length where `prefixed`.
        cdef Py_ssize_t n
        cdef const char *s
        cdef size_t bytes_
        if type(text) is not str:
            raise CodecError(f"{what} is no hex text but {type(text).__name__}")
        if not PyUnicode_IS_ASCII(text):  # what UTF-8 cannot hold would raise below
            raise CodecError(f"{what} holds something else than hex digits")
        s = PyUnicode_AsUTF8AndSize(text, &n)
        if n < 2 or s[0] != c"0" or s[1] != c"x" or n & 1:
            raise CodecError(f"{what} is no hex text of whole bytes that begins with 0x")
        bytes_ = <size_t> (n - 2) // 2
        if size >= 0 and bytes_ != <size_t> size:
            raise CodecError(f"{what} has {bytes_} bytes, not {size}")
        self.room(bytes_ + 9)
        if prefixed:
            prbkit_buf_compact(&self.b, bytes_)
        if prbkit_unhex(s + 2, bytes_, self.b.data + self.b.len):
            raise CodecError(f"{what} holds something else than hex digits")
        self.b.len += bytes_
        return bytes_

    cdef bytes value(self):
        return PyBytes_FromStringAndSize(<char *> self.b.data, <Py_ssize_t> self.b.len)


def unhex(text, str what="text"):
    """Bytes of a hex text that begins with 0x."""
    cdef HexWriter w = HexWriter()
    w.hex(text, what, False)
    return w.value()


cdef object _member(dict obj, str name, str what):
    try:
        return obj[name]
    except KeyError:
        raise CodecError(f"{what} has no {name}") from None


cdef unsigned long long _block_number(object number) except? 0:
    if type(number) is int:
        v = number
    elif type(number) is str and 3 <= len(number) <= 18 and number[:2] == "0x" and (
        number.isascii() and number.isalnum()  # int takes digits of any script
    ):
        try:
            v = int(number, 16)
        except ValueError:
            raise CodecError("a header's number is not hex") from None
    else:
        raise CodecError("a header's number is neither a number nor a 0x text")
    if not 0 <= v < 1 << 32:
        raise CodecError(f"a header's number {v} is over 32 bits")
    return v


def header_from_text(text):
    """SCALE of a header's JSON text; None for what takes a JSON parser, or is no text at all."""
    cdef prbkit_header_text h
    cdef const uint8_t *p
    cdef Py_ssize_t n
    cdef size_t size
    cdef uint8_t small[1024]
    cdef bytes out
    if type(text) is bytes:
        p, n = <const uint8_t *> PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)
    elif type(text) is str and (<str> text).isascii():
        p = <const uint8_t *> PyUnicode_AsUTF8AndSize(text, &n)
    else:
        return None
    if prbkit_header_parse(p, p + n, &h):
        return None
    if prbkit_header_room(&h) <= sizeof(small):
        size = prbkit_header_write(&h, p + n, small)
        return PyBytes_FromStringAndSize(<char *> small, <Py_ssize_t> size) if size else None
    out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t> prbkit_header_room(&h))
    size = prbkit_header_write(&h, p + n, <uint8_t *> PyBytes_AS_STRING(out))
    return out[:size] if size else None


def header_from_json(obj):
    """SCALE of a header as JSON-RPC gives it (a dict)."""
    cdef HexWriter w = HexWriter()
    cdef Walker log
    cdef list logs
    cdef size_t before
    if type(obj) is not dict:
        raise CodecError(f"a header is no JSON object but {type(obj).__name__}")
    w.hex(_member(obj, "parentHash", "a header"), "parentHash", False, HASH_SIZE)
    w.count(_block_number(_member(obj, "number", "a header")))
    w.hex(_member(obj, "stateRoot", "a header"), "stateRoot", False, HASH_SIZE)
    w.hex(_member(obj, "extrinsicsRoot", "a header"), "extrinsicsRoot", False, HASH_SIZE)
    digest = _member(obj, "digest", "a header")
    if type(digest) is not dict:
        raise CodecError("a header's digest is no JSON object")
    found = _member(digest, "logs", "a header's digest")
    if type(found) is not list:
        raise CodecError("a digest's logs are no JSON array")
    logs = found
    w.count(<size_t> len(logs))
    for item in logs:
        before = w.b.len
        w.hex(item, "a digest item", False)
        log = Walker(w.b.data[before:w.b.len], "digest item")
        log.must(prbkit_walk_log(&log.w))
        log.done()
    return w.value()


cdef int _json_changes(HexWriter w, object changes, str what) except -1:
    if type(changes) is not list:
        raise CodecError(f"{what} are no JSON array")
    w.count(<size_t> len(<list> changes))
    for change in <list> changes:
        if type(change) is not list or len(<list> change) != 2:
            raise CodecError(f"one of {what} is no pair of key and value")
        w.hex((<list> change)[0], "a storage key", True)
        value = (<list> change)[1]
        if value is None:
            w.byte(0)
        else:
            w.byte(1)
            w.hex(value, "a storage value", True)
    return 0


def storage_changes_from_json(obj):
    """SCALE StorageChanges of one block of a pha_getStorageChanges answer (a dict)."""
    cdef HexWriter w = HexWriter()
    if type(obj) is not dict:
        raise CodecError(f"storage changes are no JSON object but {type(obj).__name__}")
    _json_changes(w, _member(obj, "mainStorageChanges", "storage changes"), "mainStorageChanges")
    children = _member(obj, "childStorageChanges", "storage changes")
    if type(children) is not list:
        raise CodecError("childStorageChanges are no JSON array")
    w.count(<size_t> len(<list> children))
    for child in <list> children:
        if type(child) is not list or len(<list> child) != 2:
            raise CodecError("one of childStorageChanges is no pair of name and changes")
        w.hex((<list> child)[0], "a child's name", True)
        _json_changes(w, (<list> child)[1], "a child's changes")
    return w.value()
