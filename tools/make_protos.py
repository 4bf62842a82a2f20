"""Compile prbkit/wire/protos to wire.binpb and write the stubs of its typed faces.

Run it after a change of a .proto file (needs grpcio-tools and ruff)::

    python tools/make_protos.py
"""

from __future__ import annotations

import keyword
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
)

WIRE = Path(__file__).resolve().parent.parent / "prbkit" / "wire"
PROTOS = WIRE / "protos"
FACES = {
    "walkie": ("Messages of PRB v2's Walkie protocol, and prbkit's own.", ("prb", "prbkit")),
    "pruntime": ("Messages of pRuntime's API.", ("pruntime_rpc", "google.protobuf")),
}
"""Module → (docstring, packages whose messages stand in it; sub-packages included)."""

_SCALARS = {
    FieldDescriptorProto.TYPE_BOOL: "bool",
    FieldDescriptorProto.TYPE_BYTES: "bytes",
    FieldDescriptorProto.TYPE_ENUM: "int",
    FieldDescriptorProto.TYPE_INT32: "int",
    FieldDescriptorProto.TYPE_STRING: "str",
    FieldDescriptorProto.TYPE_UINT32: "int",
    FieldDescriptorProto.TYPE_UINT64: "int",
}


def compile_protos() -> bytes:
    """Return the serialized FileDescriptorSet of all .proto files, imports included."""
    from grpc_tools import protoc

    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "wire.binpb"
        include = Path(protoc.__file__).parent / "_proto"
        arguments = ["protoc", f"-I{PROTOS}", f"-I{include}", "--include_imports"]
        if protoc.main([*arguments, f"--descriptor_set_out={out}", *sources]) != 0:
            raise SystemExit("protoc failed")
        return out.read_bytes()


def stub(face: str, files: FileDescriptorSet) -> str:
    """Return the .pyi of a face."""
    doc, packages = FACES[face]
    mine = [
        file
        for file in files.file
        if any(file.package == name or file.package.startswith(f"{name}.") for name in packages)
    ]
    names = sorted(
        [message.name for file in mine for message in file.message_type]
        + [enum.name for file in mine for enum in file.enum_type]
    )
    if len(names) != len(set(names)):
        raise SystemExit(f"{face}: two messages share a name")
    lines = [
        f'"""{doc} Written by tools/make_protos.py."""',
        "",
        "from collections.abc import Iterable, Mapping",
        "from typing import Any, Literal, final",
        "",
        "from google.protobuf.internal.containers import (",
        "    RepeatedCompositeFieldContainer,",
        "    RepeatedScalarFieldContainer,",
        ")",
        "from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper",
        "from google.protobuf.message import Message",
        "",
        "__all__ = [",
        *(f'    "{name}",' for name in names),
        "]",
        "",
    ]
    for file in mine:
        for enum in file.enum_type:
            lines += [*_enum(enum, ""), f"{enum.name}: _{enum.name}", ""]
        for message in file.message_type:
            lines += [*_message(message, ""), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _enum(enum: EnumDescriptorProto, indent: str) -> list[str]:
    values = [f"{indent}    {value.name}: int" for value in enum.value if _sayable(value.name)]
    return [f"{indent}class _{enum.name}(EnumTypeWrapper):", *values, ""]


def _message(message: DescriptorProto, indent: str) -> list[str]:
    inner = indent + "    "
    lines = [f"{indent}@final", f"{indent}class {message.name}(Message):"]
    for enum in message.enum_type:
        lines += [*_enum(enum, inner), f"{inner}{enum.name}: _{enum.name}"]
        lines += [f"{inner}{value.name}: int" for value in enum.value]
    for nested in message.nested_type:
        lines += _message(nested, inner)
    fields = [field for field in message.field if _sayable(field.name)]
    lines += [f"{inner}{_attribute(field)}" for field in fields if not _composite(field)]
    for field in fields:
        if _composite(field):
            lines += [f"{inner}@property", f"{inner}def {field.name}(self) -> {_type(field)}: ..."]
    if fields:
        lines += [f"{inner}def __init__(", f"{inner}    self,", f"{inner}    *,"]
        lines += [f"{inner}    {field.name}: {_argument(field)} = ...," for field in fields]
        lines += [f"{inner}) -> None: ..."]
    elif message.field:
        lines += [f"{inner}def __init__(self, **fields: Any) -> None: ..."]
    else:
        lines += [f"{inner}def __init__(self) -> None: ..."]
    present = [field.name for field in message.field if _has_presence(field)]
    if present:
        literal = ", ".join(f'"{name}"' for name in present)
        oneofs = [oneof.name for oneof in message.oneof_decl if not oneof.name.startswith("_")]
        literal += "".join(f', "{name}"' for name in oneofs)
        lines += [f"{inner}def HasField(self, field_name: Literal[{literal}]) -> bool: ..."]
        for oneof in oneofs:
            lines += [
                f'{inner}def WhichOneof(self, oneof_group: Literal["{oneof}"]) -> str | None: ...'
            ]
    return lines


def _sayable(name: str) -> bool:
    """Whether Python's grammar takes the name; `getattr` reaches the others (None, global)."""
    return not keyword.iskeyword(name)


def _repeated(field: FieldDescriptorProto) -> bool:
    return field.label == FieldDescriptorProto.LABEL_REPEATED


def _message_field(field: FieldDescriptorProto) -> bool:
    return field.type == FieldDescriptorProto.TYPE_MESSAGE


def _composite(field: FieldDescriptorProto) -> bool:
    return _repeated(field) or _message_field(field)


def _has_presence(field: FieldDescriptorProto) -> bool:
    return not _repeated(field) and (_message_field(field) or field.HasField("oneof_index"))


def _python(field: FieldDescriptorProto) -> str:
    if not _message_field(field):
        return _SCALARS[field.type]
    path = field.type_name.split(".")
    return ".".join(part for part in path if part[:1].isupper())


def _type(field: FieldDescriptorProto) -> str:
    if not _repeated(field):
        return _python(field)
    kind = "Composite" if _message_field(field) else "Scalar"
    return f"Repeated{kind}FieldContainer[{_python(field)}]"


def _attribute(field: FieldDescriptorProto) -> str:
    return f"{field.name}: {_python(field)}"


def _argument(field: FieldDescriptorProto) -> str:
    python = _python(field)
    if _message_field(field):
        python = f"{python} | Mapping[str, Any]"
    elif field.type == FieldDescriptorProto.TYPE_ENUM:
        python = "int | str"
    return f"Iterable[{python}] | None" if _repeated(field) else f"{python} | None"


def main() -> None:
    compiled = compile_protos()
    (WIRE / "wire.binpb").write_bytes(compiled)
    files = FileDescriptorSet.FromString(compiled)
    stubs = [WIRE / f"{face}.pyi" for face in FACES]
    for path in stubs:
        path.write_text(stub(path.stem, files))
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", *stubs], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
