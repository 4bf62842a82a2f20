"""One compiled unit from small parts: each is included as text, so that cdef calls inline."""

include "errors.pyx"
include "hashing.pyx"
