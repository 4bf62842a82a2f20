# The error classes that this unit raises. They are handed in, since it imports nothing of prbkit.

cdef object CodecError = ValueError
cdef object ProofError = ValueError
cdef object JustificationError = ValueError


def bind_errors(*, codec, proof, justification):
    """Set the classes raised for bad SCALE or JSON, bad proofs and bad justifications."""
    global CodecError, ProofError, JustificationError
    CodecError = codec
    ProofError = proof
    JustificationError = justification
