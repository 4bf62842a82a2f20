# The types of a runtime's metadata, and the making of plans from them.

cimport cython

cdef enum:
    KIND_COMPOSITE = 0
    KIND_VARIANT = 1
    KIND_SEQUENCE = 2
    KIND_ARRAY = 3
    KIND_TUPLE = 4
    KIND_PRIMITIVE = 5
    KIND_COMPACT = 6
    KIND_BITS = 7

cdef tuple KIND_NAMES = (
    "composite", "variant", "sequence", "array", "tuple", "primitive", "compact", "bits"
)
cdef tuple PRIMITIVE_NAMES = (
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256",
    "i8", "i16", "i32", "i64", "i128", "i256",
)


@cython.no_gc
cdef class Text:
    """Base of what the metadata documents: where that text lies, read when asked for.

    Nothing below it can be part of a cycle, so none of the thousands is given to the collector.
    """

    cdef bytes raw
    cdef Py_ssize_t docs_at

    @property
    def docs(self):
        cdef ScaleReader r
        cdef Py_ssize_t count
        if self.docs_at == 0:
            return ()
        reader_init(&r, self.raw, self.docs_at)
        count = reader_length(&r, 1)
        return tuple([reader_text(&r) for _i in range(count)])


@cython.no_gc
@cython.final
cdef class TypeField:
    """A field of a struct or variant: name (None where unnamed), type id, type's text in Rust."""

    cdef readonly str name
    cdef readonly Py_ssize_t type_id
    cdef bytes raw
    cdef Py_ssize_t type_name_at

    @property
    def type_name(self):
        cdef ScaleReader r
        if self.type_name_at == 0:
            return None
        reader_init(&r, self.raw, self.type_name_at)
        return reader_text(&r)

    def __repr__(self):
        return f"TypeField({self.name!r}, {self.type_id}, {self.type_name!r})"


@cython.no_gc
@cython.final
cdef class TypeVariant(Text):
    """A variant of an enum: name, index byte, fields, documentation."""

    cdef readonly str name
    cdef readonly int index
    cdef readonly tuple fields

    def __repr__(self):
        return f"TypeVariant({self.name!r}, {self.index}, {self.fields!r})"


@cython.no_gc
@cython.final
cdef class TypeInfo(Text):
    """One type of the registry, as the metadata states it.

    `kind` says which of the other attributes mean something: fields (composite), variants
    (variant), item (sequence, array, compact: a type id), length (array), items (tuple: type
    ids), primitive (its Rust name), store and order (bits: type ids).
    """

    cdef readonly Py_ssize_t id
    cdef readonly tuple path
    cdef readonly tuple params
    cdef readonly tuple fields
    cdef readonly tuple variants
    cdef readonly tuple items
    cdef readonly Py_ssize_t item
    cdef readonly Py_ssize_t length
    cdef readonly Py_ssize_t store
    cdef readonly Py_ssize_t order
    cdef int code
    cdef int primitive_code

    @property
    def kind(self):
        return KIND_NAMES[self.code]

    @property
    def primitive(self):
        return PRIMITIVE_NAMES[self.primitive_code] if self.code == KIND_PRIMITIVE else None

    def __repr__(self):
        return f"<TypeInfo {self.id} {self.kind} {'::'.join(self.path) or self.primitive or ''}>"


@cython.no_gc_clear
@cython.final
cdef class Registry:
    """All types of one metadata and the plans made of them so far."""

    cdef readonly list types
    cdef list plans
    cdef list pending
    cdef list payloads
    cdef Py_ssize_t call_type

    def __cinit__(self):
        self.types = []
        self.plans = []
        self.pending = []
        self.payloads = []
        self.call_type = -1

    def __dealloc__(self):
        for plan in self.plans:
            if plan is not None:
                (<ScalePlan>plan).unlink()

    cdef TypeInfo type_at(self, Py_ssize_t type_id):
        if not 0 <= type_id < len(self.types):
            raise CodecError(f"the metadata has no type {type_id}")
        return <TypeInfo>self.types[type_id]

    cdef TypeInfo unwrapped(self, Py_ssize_t type_id):
        """Follow structs of one unnamed field to what they hold: that is all there is to them."""
        cdef TypeInfo info = self.type_at(type_id)
        cdef Py_ssize_t steps = 0
        while info.code == KIND_COMPOSITE and len(info.fields) == 1:
            field = <TypeField>info.fields[0]
            if field.name is not None:
                break
            steps += 1
            if steps > SCALE_MAX_DEPTH:
                raise CodecError(f"type {type_id} of the metadata contains itself without end")
            info = self.type_at(field.type_id)
        return info

    cdef ScalePlan plan(self, Py_ssize_t type_id):
        """Return the plan of a type, ready for use."""
        cdef ScalePlan plan, made
        if 0 <= type_id < len(self.plans):
            found = self.plans[type_id]
            if found is not None and (<ScalePlan>found).measured == SCALE_MEASURED:
                return <ScalePlan>found
        made_now = []
        try:
            plan = self.sketch(type_id)
            while self.pending:
                info = self.pending.pop()
                made_now.append(info)
                self.fill(<TypeInfo>info)
            for info in made_now:
                made = <ScalePlan>self.plans[(<TypeInfo>info).id]
                made.measure(0)
                made.measured = SCALE_MEASURED
            for made in self.payloads:
                made.measure(0)
            for info in made_now:
                (<ScalePlan>self.plans[(<TypeInfo>info).id]).compile_skip()
            while self.payloads:
                (<ScalePlan>self.payloads.pop()).compile_skip()
        except BaseException:
            # A half-made plan must never be found again.
            for info in made_now + self.pending:
                (<ScalePlan>self.plans[(<TypeInfo>info).id]).unlink()
                self.plans[(<TypeInfo>info).id] = None
            self.pending.clear()
            self.payloads.clear()
            raise
        self.plans[type_id] = plan
        return plan

    cdef ScalePlan sketch(self, Py_ssize_t type_id):
        """Return a plan whose parts may still be missing; `fill` gives them, in any order.

        This keeps recursive types from recursing here.
        """
        cdef TypeInfo info = self.unwrapped(type_id)
        cdef ScalePlan plan
        found = self.plans[info.id]
        if found is not None:
            return <ScalePlan>found
        plan = self.blank(info)
        self.plans[info.id] = plan
        self.pending.append(info)
        return plan

    cdef ScalePlan blank(self, TypeInfo info):
        cdef TypeInfo item
        if info.code == KIND_COMPOSITE:
            if not info.fields:
                return UnitPlan()
            return StructPlan() if are_named(info.fields, info.id) else TuplePlan()
        if info.code == KIND_VARIANT:
            return OptionPlan() if is_option(info) else VariantPlan()
        if info.code == KIND_SEQUENCE or info.code == KIND_ARRAY:
            item = self.type_at(info.item)
            if item.code == KIND_PRIMITIVE and item.primitive_code == 3:
                return BytesPlan() if info.code == KIND_SEQUENCE else FixedBytesPlan(info.length)
            return SequencePlan() if info.code == KIND_SEQUENCE else ArrayPlan(info.length)
        if info.code == KIND_TUPLE:
            return TuplePlan() if info.items else UnitPlan()
        if info.code == KIND_PRIMITIVE:
            return primitive_plan(info.primitive_code)
        if info.code == KIND_COMPACT:
            return self.compact_plan(info)
        return self.bits_plan(info)

    cdef ScalePlan compact_plan(self, TypeInfo info):
        cdef TypeInfo inner = self.type_at(info.item)
        cdef Py_ssize_t steps = 0
        # Compact of a wrapper is the compact of what it wraps, whatever the field is called.
        while inner.code == KIND_COMPOSITE and len(inner.fields) == 1:
            steps += 1
            if steps > SCALE_MAX_DEPTH:
                raise CodecError(f"type {info.id} of the metadata contains itself without end")
            inner = self.type_at((<TypeField>inner.fields[0]).type_id)
        if inner.code == KIND_PRIMITIVE and 3 <= inner.primitive_code <= 7:
            return CompactPlan(1 << (inner.primitive_code - 3))
        if not inner.fields and not inner.items and inner.code in (KIND_COMPOSITE, KIND_TUPLE):
            return UnitPlan()
        raise CodecError(f"type {info.id} of the metadata is a compact of {inner!r}")

    cdef ScalePlan bits_plan(self, TypeInfo info):
        cdef TypeInfo store = self.type_at(info.store)
        cdef TypeInfo order = self.type_at(info.order)
        name = order.path[len(order.path) - 1] if order.path else None
        if store.code != KIND_PRIMITIVE or not 3 <= store.primitive_code <= 6:
            raise CodecError(f"type {info.id} of the metadata stores bits in {store!r}")
        if name not in ("Lsb0", "Msb0"):
            raise CodecError(f"type {info.id} of the metadata orders bits by {order!r}")
        return BitsPlan(1 << (store.primitive_code - 3), name == "Msb0")

    cdef int fill(self, TypeInfo info) except -1:
        plan = self.plans[info.id]
        if isinstance(plan, SequencePlan):
            (<SequencePlan>plan).item = self.sketch(info.item)
        elif isinstance(plan, OptionPlan):
            inner = (<TypeField>(<TypeVariant>option_some(info)).fields[0]).type_id
            (<OptionPlan>plan).nested = is_option(self.unwrapped(inner))
            (<OptionPlan>plan).inner = self.sketch(inner)
        elif isinstance(plan, VariantPlan):
            (<VariantPlan>plan).raw_calls = info.id == self.call_type
            if info.variants:
                last = <TypeVariant>info.variants[len(info.variants) - 1]
                (<VariantPlan>plan).widen((<TypeVariant>last).index + 1)
            for variant in info.variants:
                self.fill_case(<VariantPlan>plan, <TypeVariant>variant, info.id)
            if info.path == ("sp_runtime", "multiaddress", "MultiAddress"):
                (<VariantPlan>plan).account = (<VariantPlan>plan).cases.get("Id")
        elif isinstance(plan, FieldsPlan):
            if info.code == KIND_TUPLE:
                (<FieldsPlan>plan).plans = tuple([self.sketch(item) for item in info.items])
            else:
                self.fill_fields(<FieldsPlan>plan, info.fields)
        return 0

    cdef int fill_fields(self, FieldsPlan plan, tuple fields) except -1:
        plan.plans = tuple([self.sketch((<TypeField>field).type_id) for field in fields])
        if isinstance(plan, StructPlan):
            (<StructPlan>plan).names = tuple([(<TypeField>field).name for field in fields])
        return 0

    cdef int fill_case(self, VariantPlan plan, TypeVariant variant, Py_ssize_t type_id) except -1:
        cdef VariantCase case = VariantCase()
        cdef FieldsPlan payload
        case.name = variant.name
        case.index = variant.index
        if len(variant.fields) == 1 and (<TypeField>variant.fields[0]).name is None:
            case.payload = self.sketch((<TypeField>variant.fields[0]).type_id)
        elif variant.fields:
            payload = StructPlan() if are_named(variant.fields, type_id) else TuplePlan()
            self.fill_fields(payload, variant.fields)
            self.payloads.append(payload)
            case.payload = payload
        plan.add(case)
        return 0


cdef bint are_named(tuple fields, Py_ssize_t type_id) except -1:
    cdef Py_ssize_t named = 0, count = len(fields)
    for field in fields:
        named += (<TypeField>field).name is not None
    if named == 0:
        return False
    names = {(<TypeField>field).name for field in fields} if count > 1 else ()
    if named != count or (count > 1 and len(names) != count):
        raise CodecError(f"fields of type {type_id} of the metadata are named badly")
    return True


cdef TypeVariant option_some(TypeInfo info):
    for variant in info.variants:
        if (<TypeVariant>variant).index == 1:
            return <TypeVariant>variant


cdef bint is_option(TypeInfo info) except -1:
    if info.code != KIND_VARIANT or info.path != ("Option",) or len(info.variants) != 2:
        return False
    shape = {
        (<TypeVariant>v).index: ((<TypeVariant>v).name, len((<TypeVariant>v).fields))
        for v in info.variants
    }
    return shape == {0: ("None", 0), 1: ("Some", 1)}


cdef ScalePlan primitive_plan(int code):
    if code == 0:
        return BoolPlan()
    if code == 1:
        return CharPlan()
    if code == 2:
        return TextPlan()
    if code <= 6:
        return UintPlan(1 << (code - 3))
    if code <= 8:
        return WideIntPlan(1 << (code - 3), False)
    return WideIntPlan(1 << (code - 9), True)
