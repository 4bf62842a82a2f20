# Hashes for storage keys, headers and trie nodes. The GIL is released from RELEASE_GIL_FROM bytes
# on: below that, giving it up costs more than the hash.

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

cdef extern from "hashing.h" nogil:
    # `size` is that of the digest in bytes; `lanes` is the number of 8-byte hashes.
    void prbkit_blake2b(const uint8_t *data, size_t n, uint8_t *out, size_t size)
    void prbkit_twox(const uint8_t *data, size_t n, uint8_t *out, unsigned int lanes)

cdef enum:
    RELEASE_GIL_FROM = 8192


cdef bytes c_blake2b(const uint8_t *data, size_t n, Py_ssize_t size):
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    cdef uint8_t *p = <uint8_t *> PyBytes_AS_STRING(out)
    if n >= RELEASE_GIL_FROM:
        with nogil:
            prbkit_blake2b(data, n, p, <size_t> size)
    else:
        prbkit_blake2b(data, n, p, <size_t> size)
    return out


cdef bytes c_twox(const uint8_t *data, size_t n, unsigned int lanes):
    cdef bytes out = PyBytes_FromStringAndSize(NULL, 8 * <Py_ssize_t> lanes)
    cdef uint8_t *p = <uint8_t *> PyBytes_AS_STRING(out)
    if n >= RELEASE_GIL_FROM:
        with nogil:
            prbkit_twox(data, n, p, lanes)
    else:
        prbkit_twox(data, n, p, lanes)
    return out


cdef bytes _blake2b_of(object data, Py_ssize_t size):
    cdef Py_buffer view
    if type(data) is bytes:
        return c_blake2b(
            <const uint8_t *> PyBytes_AS_STRING(data), <size_t> len(<bytes> data), size
        )
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return c_blake2b(<const uint8_t *> view.buf, <size_t> view.len, size)
    finally:
        PyBuffer_Release(&view)


cdef bytes _twox_of(object data, unsigned int lanes):
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return c_twox(<const uint8_t *> view.buf, <size_t> view.len, lanes)
    finally:
        PyBuffer_Release(&view)


def blake2b_256(data):
    """Hash bytes with BLAKE2b to 32 bytes."""
    return _blake2b_of(data, 32)


def blake2b_128(data):
    """Hash bytes with BLAKE2b to 16 bytes."""
    return _blake2b_of(data, 16)


def twox_64(data):
    """Hash bytes with XXH64 (seed 0) to 8 bytes."""
    return _twox_of(data, 1)


def twox_128(data):
    """Hash bytes with XXH64 (seeds 0 and 1) to 16 bytes."""
    return _twox_of(data, 2)


def twox_256(data):
    """Hash bytes with XXH64 (seeds 0 to 3) to 32 bytes."""
    return _twox_of(data, 4)
