# Reads runtime metadata, versions 14 and 15, straight from its bytes.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef tuple HASHERS = (
    "Blake2_128", "Blake2_256", "Blake2_128Concat",
    "Twox128", "Twox256", "Twox64Concat", "Identity",
)
cdef tuple MODIFIERS = ("Optional", "Default", "Required")


@cython.no_gc
@cython.final
cdef class StorageItem(Text):
    """One storage item of a pallet.

    `hashers` is empty for a plain value; `keys` holds the type id of each parameter; `default`
    is the SCALE of the value that an absent key stands for.
    """

    cdef readonly str name
    cdef readonly str modifier
    cdef readonly tuple hashers
    cdef readonly tuple keys
    cdef readonly Py_ssize_t value
    cdef readonly bytes default


@cython.no_gc
@cython.final
cdef class Constant(Text):
    """A constant of a pallet: its type id and SCALE value."""

    cdef readonly str name
    cdef readonly Py_ssize_t type_id
    cdef readonly bytes value


@cython.final
cdef class Pallet(Text):
    """One pallet. `calls`, `events` and `errors` are type ids, None where there are none."""

    cdef readonly str name
    cdef readonly int index
    cdef readonly str prefix
    cdef readonly dict storage
    cdef readonly dict constants
    cdef readonly object calls
    cdef readonly object events
    cdef readonly object errors

    def __repr__(self):
        return f"<Pallet {self.index} {self.name}>"


@cython.final
cdef class SignedExtension:
    """A signed extension: identifier, type id of what is sent, of what is only signed."""

    cdef readonly str identifier
    cdef readonly Py_ssize_t extra
    cdef readonly Py_ssize_t additional

    def __repr__(self):
        return f"SignedExtension({self.identifier!r}, {self.extra}, {self.additional})"


@cython.no_gc
@cython.final
cdef class RuntimeMethod(Text):
    """A method of a runtime API (version 15): inputs as (name, type id), output as type id."""

    cdef readonly str name
    cdef readonly tuple inputs
    cdef readonly Py_ssize_t output


@cython.final
cdef class MetadataParts:
    """All that a metadata says, before anybody asks."""

    cdef readonly int version
    cdef readonly bytes raw
    cdef readonly Registry registry
    cdef readonly dict pallets
    cdef readonly int extrinsic_version
    cdef readonly tuple extensions
    cdef readonly dict apis
    cdef readonly object address_type
    cdef readonly object call_type
    cdef readonly object signature_type
    cdef readonly object extrinsic_type


cdef enum:
    NAME_SLOTS = 4096


cdef inline size_t name_slot(const uint8_t *data, size_t size) noexcept:
    cdef uint64_t head = 0, tail = 0
    cdef size_t some = min(size, <size_t>8)
    memcpy(&head, data, some)
    memcpy(&tail, data + size - some, some)
    head = (head ^ (tail << 1) ^ size) * <uint64_t>0x9E3779B97F4A7C15
    return head >> 52


cdef struct SeenName:
    const uint8_t *data
    size_t size
    PyObject *text  # owned by MetadataReader.texts


cdef class MetadataReader:
    cdef bytes raw
    cdef ScaleReader r
    cdef dict texts
    cdef SeenName seen[NAME_SLOTS]

    def __cinit__(self, bytes raw):
        self.raw = raw
        self.texts = {}
        reader_init(&self.r, raw, 0)

    cdef str name(self):
        # Names repeat by the thousands: one object each, so that dict lookups compare pointers,
        # and most are found by their bytes before an object is made.
        cdef const uint8_t *p = self.r.pos
        cdef size_t size = 0
        cdef SeenName *seen
        if prbkit_read_compact(&p, self.r.end, &size) != NULL or size > <size_t>(self.r.end - p):
            return reader_text(&self.r)
        seen = &self.seen[name_slot(p, size)]
        if seen.text != NULL and seen.size == size and memcmp(seen.data, p, size) == 0:
            self.r.pos = p + size
            return <str>seen.text
        text = reader_text(&self.r)
        text = self.texts.setdefault(text, text)
        seen.data = p
        seen.size = size
        seen.text = <PyObject *>text
        return <str>text

    cdef str name_or_none(self):
        return self.name() if self.flag() else None

    cdef uint8_t byte(self) except? 255:
        return reader_take(&self.r, 1)[0]

    cdef bint flag(self) except -1:
        cdef uint8_t value = self.byte()
        if value > 1:
            self.r.pos -= 1
            reader_fail(&self.r, f"option is {value}")
        return value == 1

    cdef uint8_t choice(self, Py_ssize_t count, str what) except? 255:
        cdef uint8_t value = self.byte()
        if value >= count:
            self.r.pos -= 1
            reader_fail(&self.r, f"{what} is {value}")
        return value

    cdef Py_ssize_t id(self) except -1:
        cdef uint64_t low, high
        reader_compact(&self.r, &low, &high)
        if high or low > 0xFFFFFFFF:
            reader_fail(&self.r, "type id does not fit 32 bits")
        return <Py_ssize_t>low

    cdef object id_or_none(self):
        return self.id() if self.flag() else None

    cdef bytes blob(self):
        cdef Py_ssize_t size = reader_length(&self.r, 1)
        cdef const uint8_t *p = reader_take(&self.r, size)
        return PyBytes_FromStringAndSize(<const char *>p, size)

    cdef int docs(self, Text of) except -1:
        of.raw = self.raw
        of.docs_at = self.r.pos - self.r.start
        return self.skip_texts()

    cdef int skip_text(self) except -1:
        cdef size_t size = 0
        cdef const uint8_t *p = self.r.pos
        if prbkit_read_compact(&p, self.r.end, &size) == NULL and size <= <size_t>(self.r.end - p):
            self.r.pos = p + size
            return 0
        reader_take(&self.r, reader_length(&self.r, 1))
        return 0

    cdef int skip_texts(self) except -1:
        cdef Py_ssize_t _i, count = reader_length(&self.r, 1)
        for _i in range(count):
            self.skip_text()
        return 0

    cdef tuple names(self):
        cdef Py_ssize_t count = reader_length(&self.r, 1)
        cdef tuple names
        if count == 0:
            return ()
        names = tuple([self.name() for _i in range(count)])
        PyObject_GC_UnTrack(<PyObject *>names)
        return names

    cdef tuple ids(self):
        cdef Py_ssize_t count = reader_length(&self.r, 1)
        return tuple([self.id() for _i in range(count)])

    cdef TypeField field(self):
        cdef TypeField field = TypeField()
        field.name = self.name_or_none()
        field.type_id = self.id()
        if self.flag():
            field.raw = self.raw
            field.type_name_at = self.r.pos - self.r.start
            self.skip_text()
        self.skip_texts()
        return field

    cdef tuple fields(self):
        cdef Py_ssize_t i, count = reader_length(&self.r, 4)
        cdef tuple fields
        if count == 0:
            return ()
        fields = PyTuple_New(count)
        for i in range(count):
            field = self.field()
            Py_INCREF(field)
            PyTuple_SET_ITEM(fields, i, field)
        PyObject_GC_UnTrack(<PyObject *>fields)
        return fields

    cdef TypeVariant variant(self):
        cdef TypeVariant variant = TypeVariant()
        variant.name = self.name()
        variant.fields = self.fields()
        variant.index = self.byte()
        self.docs(variant)
        return variant

    cdef TypeInfo type_info(self):
        cdef TypeInfo info = TypeInfo()
        cdef Py_ssize_t _i, count
        info.id = self.id()
        info.path = self.names()
        count = reader_length(&self.r, 2)
        params = []
        for _i in range(count):
            name = self.name()
            params.append((name, self.id_or_none()))
        info.params = tuple(params)
        info.fields = info.variants = info.items = ()
        info.item = info.store = info.order = -1
        info.code = self.choice(8, "kind of type")
        if info.code == KIND_COMPOSITE:
            info.fields = self.fields()
        elif info.code == KIND_VARIANT:
            count = reader_length(&self.r, 4)
            variants = PyTuple_New(count)
            for _i in range(count):
                variant = self.variant()
                Py_INCREF(variant)
                PyTuple_SET_ITEM(variants, _i, variant)
            PyObject_GC_UnTrack(<PyObject *>variants)
            info.variants = variants
        elif info.code == KIND_SEQUENCE or info.code == KIND_COMPACT:
            info.item = self.id()
        elif info.code == KIND_ARRAY:
            info.length = load_u32(reader_take(&self.r, 4))
            info.item = self.id()
        elif info.code == KIND_TUPLE:
            info.items = self.ids()
        elif info.code == KIND_PRIMITIVE:
            info.primitive_code = self.choice(len(PRIMITIVE_NAMES), "primitive")
        else:
            info.store = self.id()
            info.order = self.id()
        self.docs(info)
        return info

    cdef Registry types(self):
        cdef Registry registry = Registry()
        cdef TypeInfo info
        cdef Py_ssize_t i, count = reader_length(&self.r, 6)
        for i in range(count):
            info = self.type_info()
            if info.id != i:
                reader_fail(&self.r, f"type {info.id} stands where type {i} must")
            registry.types.append(info)
        registry.plans = [None] * count
        return registry

    cdef StorageItem storage_item(self, Registry registry):
        cdef StorageItem item = StorageItem()
        cdef TypeInfo key
        cdef Py_ssize_t count, key_id
        item.name = self.name()
        item.modifier = MODIFIERS[self.choice(3, "storage modifier")]
        item.hashers = item.keys = ()
        if self.choice(2, "storage entry type"):
            count = reader_length(&self.r, 1)
            item.hashers = tuple([HASHERS[self.choice(7, "storage hasher")] for _i in range(count)])
            key_id = self.id()
            key = registry.type_at(key_id)
            # One hasher takes the whole key; several take the members of a tuple, one each.
            if count == 1:
                item.keys = (key_id,)
            elif key.code == KIND_TUPLE and len(key.items) == count:
                item.keys = key.items
            else:
                reader_fail(&self.r, f"storage map {item.name} has {count} hashers for {key!r}")
        item.value = self.id()
        item.default = self.blob()
        self.docs(item)
        return item

    cdef Constant constant(self):
        cdef Constant constant = Constant()
        constant.name = self.name()
        constant.type_id = self.id()
        constant.value = self.blob()
        self.docs(constant)
        return constant

    cdef Pallet pallet(self, Registry registry, int version):
        cdef Pallet pallet = Pallet()
        cdef StorageItem item
        cdef Constant constant
        cdef Py_ssize_t _i, count
        pallet.name = self.name()
        pallet.storage = {}
        pallet.constants = {}
        if self.flag():
            pallet.prefix = self.name()
            count = reader_length(&self.r, 6)
            for _i in range(count):
                item = self.storage_item(registry)
                pallet.storage[item.name] = item
        pallet.calls = self.id_or_none()
        pallet.events = self.id_or_none()
        count = reader_length(&self.r, 4)
        for _i in range(count):
            constant = self.constant()
            pallet.constants[constant.name] = constant
        pallet.errors = self.id_or_none()
        pallet.index = self.byte()
        if version >= 15:
            self.docs(pallet)
        return pallet

    cdef SignedExtension extension(self):
        cdef SignedExtension extension = SignedExtension()
        extension.identifier = self.name()
        extension.extra = self.id()
        extension.additional = self.id()
        return extension

    cdef RuntimeMethod method(self):
        cdef RuntimeMethod method = RuntimeMethod()
        cdef Py_ssize_t _i, count
        method.name = self.name()
        count = reader_length(&self.r, 2)
        inputs = []
        for _i in range(count):
            name = self.name()
            inputs.append((name, self.id()))
        method.inputs = tuple(inputs)
        method.output = self.id()
        self.docs(method)
        return method

    cdef dict runtime_apis(self):
        cdef RuntimeMethod method
        cdef Py_ssize_t _i, _j, methods, count = reader_length(&self.r, 3)
        apis = {}
        for _i in range(count):
            api = self.name()
            apis[api] = {}
            methods = reader_length(&self.r, 4)
            for _j in range(methods):
                method = self.method()
                apis[api][method.name] = method
            self.skip_texts()
        return apis

    cdef int skip_custom(self) except -1:
        cdef Py_ssize_t _i, count
        for _i in range(3):
            self.id()
        count = reader_length(&self.r, 3)
        for _i in range(count):
            self.name()
            self.id()
            self.blob()
        return 0

    cdef MetadataParts parts(self, int version):
        cdef MetadataParts parts = MetadataParts()
        cdef Pallet pallet
        cdef Py_ssize_t _i, count
        parts.version = version
        parts.raw = self.raw
        parts.registry = self.types()
        parts.pallets = {}
        parts.apis = {}
        count = reader_length(&self.r, 7)
        for _i in range(count):
            pallet = self.pallet(parts.registry, version)
            parts.pallets[pallet.name] = pallet
        if version == 14:
            parts.extrinsic_type = self.id()
            parts.extrinsic_version = self.byte()
            generics = dict(parts.registry.type_at(parts.extrinsic_type).params)
            parts.address_type = generics.get("Address")
            parts.call_type = generics.get("Call")
            parts.signature_type = generics.get("Signature")
        else:
            parts.extrinsic_version = self.byte()
            parts.address_type = self.id()
            parts.call_type = self.id()
            parts.signature_type = self.id()
            self.id()
        count = reader_length(&self.r, 3)
        parts.extensions = tuple([self.extension() for _i in range(count)])
        self.id()
        if version >= 15:
            parts.apis = self.runtime_apis()
            self.skip_custom()
        if self.r.pos != self.r.end:
            reader_fail(&self.r, f"{self.r.end - self.r.pos} bytes too many after the metadata")
        if parts.call_type is not None:
            parts.registry.call_type = parts.registry.unwrapped(parts.call_type).id
        return parts


def read_metadata(data):
    """Parse metadata V14 or V15: bare, as Bytes, or inside Option<OpaqueMetadata>."""
    cdef bytes raw = unwrap_metadata(as_bytes(data))
    cdef uint8_t version
    if len(raw) < 5:
        raise CodecError(f"metadata of {len(raw)} bytes is cut short")
    version = (<const uint8_t *>PyBytes_AS_STRING(raw))[4]
    if version != 14 and version != 15:
        raise CodecError(f"metadata is version {version}, only 14 and 15 can be read")
    cdef MetadataReader reader = MetadataReader(raw)
    reader.r.pos += 5
    cdef int collecting = PyGC_Disable()
    try:
        return reader.parts(version)
    finally:
        if collecting:
            PyGC_Enable()


cdef bytes unwrap_metadata(bytes raw):
    cdef ScaleReader r
    cdef Py_ssize_t size, start
    if raw.startswith(b"meta"):
        return raw
    if raw == b"\x00":
        raise CodecError("the runtime does not offer this version of its metadata")
    # Bytes, or Some of Bytes: a length may begin with 01 too, so both are tried.
    for start in range(2 if raw.startswith(b"\x01") else 1):
        reader_init(&r, raw, start)
        try:
            size = reader_length(&r, 1)
        except CodecError:
            continue
        start = r.pos - r.start
        if size == r.end - r.pos and raw[start:start + 4] == b"meta":
            return raw[start:]
    raise CodecError("not metadata: it does not begin with 'meta'")
