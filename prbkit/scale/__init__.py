"""SCALE by a runtime's own metadata: values, storage keys, calls, events and extrinsics.

The shapes of values are plain Python and the same in both directions:

==============================================  ==============================================
type                                            value
==============================================  ==============================================
integers, Compact                               int
bool, text, char                                bool, str, str of one character
Vec<u8>, [u8; n], hashes, account ids           bytes
Vec, array of others, BTreeSet                  list
BTreeMap                                        list of pairs
tuple (also of one)                             tuple
unit, fieldless struct                          ``()``
struct or variant, one unnamed field            that field's value
struct or variant, several unnamed fields       tuple
struct or variant, named fields                 dict
variant without fields                          its name
variant with fields                             ``{name: fields}``
Option                                          None or the value
Option directly in an Option                    None or ``{'Some': inner}``
BitVec                                          list of bool
a call inside a value                           ``{pallet: {call: args}}``; to encode, also its
                                                SCALE as bytes
MultiAddress                                    ``{'Id': account}`` and so on; to encode, also
                                                the account id as bytes
==============================================  ==============================================
"""

from prbkit.scale.era import Era, decode_era, encode_era
from prbkit.scale.extrinsics import (
    Extrinsic,
    SignatureInfo,
    decode_extrinsic,
    signed_extrinsic,
    signing_payload,
    unsigned_extrinsic,
)
from prbkit.scale.metadata import (
    Constant,
    Event,
    Metadata,
    Pallet,
    RuntimeMethod,
    SignedExtension,
    StorageItem,
    TypeField,
    TypeInfo,
    TypeVariant,
    Value,
)

__all__ = [
    "Constant",
    "Era",
    "Event",
    "Extrinsic",
    "Metadata",
    "Pallet",
    "RuntimeMethod",
    "SignatureInfo",
    "SignedExtension",
    "StorageItem",
    "TypeField",
    "TypeInfo",
    "TypeVariant",
    "Value",
    "decode_era",
    "decode_extrinsic",
    "encode_era",
    "signed_extrinsic",
    "signing_payload",
    "unsigned_extrinsic",
]
