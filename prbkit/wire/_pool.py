"""The compiled messages in a descriptor pool of their own.

Nothing enters protobuf's global pool, so that prbkit lives beside any other package that brings
the same names, under whichever protobuf version its user has.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

__all__ = ["message_class", "names_in", "service_methods"]

_SET = FileDescriptorSet.FromString(files("prbkit.wire").joinpath("wire.binpb").read_bytes())
_POOL: Any = DescriptorPool()
for _file in _SET.file:
    _POOL.Add(_file)


def message_class(full_name: str) -> type[Message]:
    """Return the class of a message by its full name, such as ``prb.db.Pool``."""
    return GetMessageClass(_POOL.FindMessageTypeByName(full_name))


def names_in(*packages: str) -> dict[str, Any]:
    """Map the short names of all top-level messages and enums of packages to what they are."""
    found: dict[str, Any] = {}
    for file in _SET.file:
        if not any(file.package == p or file.package.startswith(f"{p}.") for p in packages):
            continue
        for message in file.message_type:
            found[message.name] = message_class(f"{file.package}.{message.name}")
        for enum in file.enum_type:
            descriptor: EnumDescriptor = _POOL.FindEnumTypeByName(f"{file.package}.{enum.name}")
            found[enum.name] = EnumTypeWrapper(descriptor)
    return found


def service_methods(full_name: str) -> dict[str, tuple[type[Message], type[Message]]]:
    """Map a service's methods to (request class, response class)."""
    service = _POOL.FindServiceByName(full_name)
    return {
        method.name: (GetMessageClass(method.input_type), GetMessageClass(method.output_type))
        for method in service.methods
    }
