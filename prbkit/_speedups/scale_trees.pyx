# Plans of the types that hold others: sequences, arrays, tuples, structs, options, variants.

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_New, PyDict_SetItem
from cpython.list cimport PyList_Append, PyList_New, PyList_SET_ITEM
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport uint8_t
from libc.string cimport memset

cdef enum:
    SCALE_MEASURING = 1
    SCALE_MEASURED = 2

# Sizes beyond any buffer; sums and products of sizes stop here instead of overflowing.
cdef Py_ssize_t SCALE_ENDLESS = <Py_ssize_t>1 << 46


cdef Py_ssize_t size_times(Py_ssize_t size, Py_ssize_t count) noexcept:
    if size > 0 and count > SCALE_ENDLESS // size:
        return SCALE_ENDLESS
    return min(size * count, SCALE_ENDLESS)


@cython.no_gc
cdef class TreePlan(ScalePlan):
    """A plan with parts. `measure` refuses a type that holds itself with no way to end."""

    cdef int measure(self, int depth) except -1:
        if self.measured == SCALE_MEASURED:
            return 0
        if self.measured == SCALE_MEASURING:
            raise CodecError("a type of the metadata contains itself without end")
        if depth > SCALE_MAX_DEPTH:
            raise CodecError(f"types of the metadata nest deeper than {SCALE_MAX_DEPTH} levels")
        self.measured = SCALE_MEASURING
        self.add_up(depth + 1)
        if self.height > SCALE_MAX_DEPTH:
            raise CodecError(f"types of the metadata nest deeper than {SCALE_MAX_DEPTH} levels")
        self.measured = SCALE_MEASURED
        return 0

    cdef int add_up(self, int depth) except -1:
        return 0


@cython.no_gc
cdef class SequencePlan(TreePlan):
    """Vec<T> and everything that is encoded like it."""

    cdef ScalePlan item

    cdef int unlink(self) except -1:
        self.node.op = 0
        self.item = None
        return 0

    cdef int compile_skip(self) except -1:
        # Items of no size are charged for, which only the plan does.
        if self.item.floor > 0:
            self.node.op = PRBKIT_SKIP_SEQUENCE
            self.node.inner = &self.item.node
            self.node.floor = <size_t>self.item.floor
            self.node.size = <size_t>max(self.item.fixed, 0)
        return 0

    cdef str step_name(self, Py_ssize_t step):
        return f"[{step}]" if step >= 0 else ""

    cdef list items(self, ScaleReader *r, Py_ssize_t count):
        cdef Py_ssize_t i, ready = min(count, SCALE_PREALLOC)
        cdef int level = r.depth
        cdef ScalePlan item = self.item
        reader_enter(r, <PyObject *>self)
        result = PyList_New(ready)
        for i in range(ready):
            r.frames[level].step = i
            value = item.decode(r)
            Py_INCREF(value)
            PyList_SET_ITEM(result, i, value)
        for i in range(ready, count):
            r.frames[level].step = i
            PyList_Append(result, item.decode(r))
        r.depth = level
        return result

    cdef int skip_items(self, ScaleReader *r, Py_ssize_t count) except -1:
        cdef Py_ssize_t i
        cdef int level = r.depth
        if self.item.fixed >= 0:
            reader_take(r, size_times(self.item.fixed, count))
            return 0
        reader_enter(r, <PyObject *>self)
        for i in range(count):
            r.frames[level].step = i
            self.item.skip(r)
        r.depth = level
        return 0

    cdef int put_items(self, object value, ScaleWriter *w) except -1:
        cdef Py_ssize_t i = 0
        cdef int level = w.depth
        writer_enter(w, <PyObject *>self)
        for part in value:
            w.frames[level].step = i
            self.item.encode(part, w)
            i += 1
        w.depth = level
        return 0

    cdef object decode(self, ScaleReader *r):
        return self.items(r, reader_length(r, self.item.floor))

    cdef int skip(self, ScaleReader *r) except -1:
        return self.skip_items(r, reader_length(r, self.item.floor))

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if not isinstance(value, (list, tuple)):
            return writer_wrong(w, "a list", value)
        if self.item.floor == 0 and len(value) > SCALE_MAX_EMPTY:
            return writer_wrong(w, f"at most {SCALE_MAX_EMPTY} zero-sized items", value)
        writer_length(w, len(value))
        return self.put_items(value, w)


@cython.no_gc
@cython.final
cdef class ArrayPlan(SequencePlan):
    """[T; n] of anything but u8."""

    cdef Py_ssize_t count

    def __cinit__(self, Py_ssize_t count):
        self.count = count

    cdef int compile_skip(self) except -1:
        TreePlan.compile_skip(self)
        if self.fixed < 0 and self.item.floor > 0:
            self.node.op = PRBKIT_SKIP_ARRAY
            self.node.inner = &self.item.node
            self.node.floor = <size_t>self.item.floor
            self.node.count = <size_t>self.count
        return 0

    cdef int check_room(self, ScaleReader *r) except -1:
        if self.item.floor == 0:
            return reader_charge_empty(r, self.count)
        if self.floor > r.end - r.pos:
            return reader_short(r, self.floor)
        return 0

    cdef object decode(self, ScaleReader *r):
        self.check_room(r)
        return self.items(r, self.count)

    cdef int skip(self, ScaleReader *r) except -1:
        self.check_room(r)
        return self.skip_items(r, self.count)

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if not isinstance(value, (list, tuple)) or len(value) != self.count:
            return writer_wrong(w, f"a list of {self.count}", value)
        return self.put_items(value, w)

    cdef int add_up(self, int depth) except -1:
        self.item.measure(depth)
        self.height = self.item.height + 1
        self.floor = size_times(self.item.floor, self.count)
        if self.item.fixed >= 0:
            self.fixed = size_times(self.item.fixed, self.count)
        return 0


@cython.no_gc
cdef class FieldsPlan(TreePlan):
    """Several parts in a row."""

    cdef tuple plans

    cdef int unlink(self) except -1:
        self.node.op = 0
        self.plans = ()
        return 0

    def __dealloc__(self):
        PyMem_Free(self.node.parts)

    cdef int compile_skip(self) except -1:
        cdef Py_ssize_t i, count = len(self.plans)
        cdef const prbkit_skip **parts
        TreePlan.compile_skip(self)
        # One of no size may be charged for, which only the plan does.
        if self.fixed >= 0 or self.floor == 0:
            return 0
        parts = <const prbkit_skip **>PyMem_Realloc(
            self.node.parts, count * sizeof(prbkit_skip *)
        )
        if parts == NULL:
            raise MemoryError()
        for i in range(count):
            parts[i] = &(<ScalePlan>self.plans[i]).node
        self.node.parts = parts
        self.node.count = <size_t>count
        self.node.op = PRBKIT_SKIP_FIELDS
        return 0

    cdef int add_up(self, int depth) except -1:
        cdef ScalePlan part
        cdef Py_ssize_t fixed = 0
        self.floor = 0
        for part in self.plans:
            part.measure(depth)
            self.height = max(self.height, part.height + 1)
            self.floor = min(self.floor + part.floor, SCALE_ENDLESS)
            fixed = -1 if fixed < 0 or part.fixed < 0 else min(fixed + part.fixed, SCALE_ENDLESS)
        self.fixed = fixed
        return 0

    cdef int skip(self, ScaleReader *r) except -1:
        cdef ScalePlan part
        cdef Py_ssize_t i = 0
        cdef int level = r.depth
        if self.fixed >= 0:
            # Charged as decode charges it: what one refuses the other refuses.
            if self.fixed == 0:
                reader_charge_empty(r, 1)
            reader_take(r, self.fixed)
            return 0
        reader_enter(r, <PyObject *>self)
        for part in self.plans:
            r.frames[level].step = i
            part.skip(r)
            i += 1
        r.depth = level
        return 0


@cython.no_gc
@cython.final
cdef class TuplePlan(FieldsPlan):
    """A tuple type, or the unnamed fields of a struct or variant."""

    cdef str step_name(self, Py_ssize_t step):
        return f"[{step}]" if step >= 0 else ""

    cdef object decode(self, ScaleReader *r):
        cdef Py_ssize_t i, count = len(self.plans)
        cdef int level = r.depth
        cdef ScalePlan part
        if self.floor == 0:
            reader_charge_empty(r, 1)
        reader_enter(r, <PyObject *>self)
        result = PyTuple_New(count)
        for i in range(count):
            r.frames[level].step = i
            part = <ScalePlan>self.plans[i]
            value = part.decode(r)
            Py_INCREF(value)
            PyTuple_SET_ITEM(result, i, value)
        r.depth = level
        return result

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        cdef Py_ssize_t i, count = len(self.plans)
        cdef int level = w.depth
        if not isinstance(value, (tuple, list)) or len(value) != count:
            return writer_wrong(w, f"a tuple of {count}", value)
        parts = tuple(value)
        writer_enter(w, <PyObject *>self)
        for i in range(count):
            w.frames[level].step = i
            (<ScalePlan>self.plans[i]).encode(parts[i], w)
        w.depth = level
        return 0


@cython.no_gc
@cython.final
cdef class StructPlan(FieldsPlan):
    """Named fields."""

    cdef tuple names

    cdef str step_name(self, Py_ssize_t step):
        return f".{self.names[step]}" if step >= 0 else ""

    cdef object decode(self, ScaleReader *r):
        cdef Py_ssize_t i, count = len(self.plans)
        cdef int level = r.depth
        cdef ScalePlan part
        if self.floor == 0:
            reader_charge_empty(r, 1)
        reader_enter(r, <PyObject *>self)
        result = PyDict_New()
        for i in range(count):
            r.frames[level].step = i
            part = <ScalePlan>self.plans[i]
            PyDict_SetItem(result, self.names[i], part.decode(r))
        r.depth = level
        return result

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        cdef Py_ssize_t i, count = len(self.plans)
        cdef int level = w.depth
        if not isinstance(value, dict):
            return writer_wrong(w, f"a dict of {', '.join(self.names)}", value)
        writer_enter(w, <PyObject *>self)
        for i in range(count):
            w.frames[level].step = i
            try:
                part = value[self.names[i]]
            except KeyError:
                return writer_fail(w, "nothing given")
            (<ScalePlan>self.plans[i]).encode(part, w)
        w.depth = level
        if len(value) != count:
            surplus = ", ".join(sorted(str(name) for name in value if name not in self.names))
            return writer_fail(w, f"unknown field {surplus}")
        return 0


@cython.no_gc
@cython.final
cdef class OptionPlan(TreePlan):
    """None or the value; `nested` where the value may be None itself."""

    cdef ScalePlan inner
    cdef bint nested

    cdef int unlink(self) except -1:
        self.node.op = 0
        self.inner = None
        return 0

    cdef int compile_skip(self) except -1:
        self.node.op = PRBKIT_SKIP_OPTION
        self.node.inner = &self.inner.node
        return 0

    cdef bint present(self, ScaleReader *r) except -1:
        cdef const uint8_t *p = r.pos
        if p == r.end:
            reader_short(r, 1)
        if p[0] > 1:
            reader_fail(r, f"option is {p[0]}")
        r.pos += 1
        return p[0] == 1

    cdef str step_name(self, Py_ssize_t step):
        return ".Some" if self.nested else ""

    cdef object decode(self, ScaleReader *r):
        if not self.present(r):
            return None
        reader_enter(r, <PyObject *>self)
        value = self.inner.decode(r)
        r.depth -= 1
        return {"Some": value} if self.nested else value

    cdef int skip(self, ScaleReader *r) except -1:
        if not self.present(r):
            return 0
        reader_enter(r, <PyObject *>self)
        self.inner.skip(r)
        r.depth -= 1
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        if value is None:
            return writer_byte(w, 0)
        if self.nested:
            if not isinstance(value, dict) or len(value) != 1 or "Some" not in value:
                return writer_wrong(w, "None or {'Some': …}", value)
            value = value["Some"]
        writer_byte(w, 1)
        writer_enter(w, <PyObject *>self)
        self.inner.encode(value, w)
        w.depth -= 1
        return 0


@cython.no_gc
@cython.final
cdef class VariantCase:
    """One variant of an enum: `payload` is None where it has no fields."""

    cdef str name
    cdef uint8_t index
    cdef ScalePlan payload


@cython.no_gc
@cython.final
cdef class VariantPlan(TreePlan):
    """An enum.

    To encode, two take bytes too: the runtime's calls (`raw_calls`) bytes that prove to be one
    call, and MultiAddress (`account` is its case Id) those of an account id.
    """

    cdef PyObject **table  # cases by index, owned by `cases`
    cdef int slots
    cdef dict cases
    cdef bint raw_calls
    cdef VariantCase account

    def __cinit__(self):
        self.cases = {}

    cdef int unlink(self) except -1:
        self.slots = 0
        self.account = None
        self.node.op = 0
        self.cases = {}
        return 0

    def __dealloc__(self):
        PyMem_Free(self.table)
        PyMem_Free(self.node.cases)

    cdef int compile_skip(self) except -1:
        cdef VariantCase case
        cdef int i
        cdef prbkit_skip_case *cases
        if self.slots == 0:
            return 0
        cases = <prbkit_skip_case *>PyMem_Realloc(
            self.node.cases, self.slots * sizeof(prbkit_skip_case)
        )
        if cases == NULL:
            raise MemoryError()
        memset(cases, 0, self.slots * sizeof(prbkit_skip_case))
        self.node.cases = cases
        self.node.count = <size_t>self.slots
        for i in range(self.slots):
            if self.table[i] == NULL:
                continue
            case = <VariantCase>self.table[i]
            cases[i].known = 1
            if case.payload is not None and case.payload.fixed > 0:
                cases[i].size = <size_t>case.payload.fixed
            elif case.payload is not None:
                cases[i].inner = &case.payload.node
        self.node.op = PRBKIT_SKIP_VARIANT
        return 0

    cdef int widen(self, int slots) except -1:
        cdef PyObject **table = <PyObject **>PyMem_Realloc(self.table, slots * sizeof(PyObject *))
        if table == NULL:
            raise MemoryError()
        memset(table + self.slots, 0, (slots - self.slots) * sizeof(PyObject *))
        self.table = table
        self.slots = slots
        return 0

    cdef int add(self, VariantCase case) except -1:
        if case.index >= self.slots:
            self.widen(case.index + 1)
        if self.table[case.index] != NULL or case.name in self.cases:
            raise CodecError(f"two variants share index {case.index} or name {case.name!r}")
        PyDict_SetItem(self.cases, case.name, case)
        self.table[case.index] = <PyObject *>case
        return 0

    cdef VariantCase case_at(self, ScaleReader *r):
        cdef uint8_t index
        if r.pos == r.end:
            reader_short(r, 1)
        index = r.pos[0]
        if index >= self.slots or self.table[index] == NULL:
            reader_fail(r, f"no variant has index {index}")
        r.pos += 1
        return <VariantCase>self.table[index]

    cdef str step_name(self, Py_ssize_t step):
        return f".{(<VariantCase>self.table[step]).name}" if step >= 0 else ""

    cdef object decode(self, ScaleReader *r):
        cdef VariantCase case = self.case_at(r)
        cdef int level = r.depth
        if case.payload is None:
            return case.name
        reader_enter(r, <PyObject *>self)
        r.frames[level].step = case.index
        value = case.payload.decode(r)
        r.depth = level
        result = PyDict_New()
        PyDict_SetItem(result, case.name, value)
        return result

    cdef int skip(self, ScaleReader *r) except -1:
        cdef VariantCase case = self.case_at(r)
        cdef int level = r.depth
        if case.payload is None:
            return 0
        reader_enter(r, <PyObject *>self)
        r.frames[level].step = case.index
        case.payload.skip(r)
        r.depth = level
        return 0

    cdef int encode(self, object value, ScaleWriter *w) except -1:
        cdef VariantCase case
        cdef int level = w.depth
        if isinstance(value, (bytes, bytearray, memoryview)):
            if self.raw_calls:
                return self.splice(as_bytes(value), w)
            if self.account is not None:
                value = {self.account.name: value}
        if isinstance(value, str):
            name, payload = value, ()
        elif isinstance(value, dict) and len(value) == 1:
            name, payload = next(iter(value.items()))
        else:
            return writer_wrong(w, f"a variant ({self.choices()})", value)
        found = self.cases.get(name) if isinstance(name, str) else None
        if found is None:
            return writer_wrong(w, f"one of {self.choices()}", name)
        case = <VariantCase>found
        writer_byte(w, case.index)
        if case.payload is None:
            if isinstance(value, str) or (isinstance(payload, (tuple, dict)) and not payload):
                return 0
            return writer_wrong(w, f"{case.name!r} without fields", payload)
        if isinstance(value, str):
            return writer_wrong(w, f"fields for {case.name!r}", value)
        writer_enter(w, <PyObject *>self)
        w.frames[level].step = case.index
        case.payload.encode(payload, w)
        w.depth = level
        return 0

    cdef str choices(self):
        names = list(self.cases)
        return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")

    cdef int splice(self, bytes raw, ScaleWriter *w) except -1:
        cdef ScaleReader r
        reader_init(&r, raw, 0)
        try:
            skip_plan(self, &r)
        except CodecError as e:
            return writer_fail(w, f"not an encoded call ({e})")
        if r.pos != r.end:
            return writer_fail(w, f"{r.end - r.pos} bytes too many after an encoded call")
        return writer_put(w, PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw))
