# What Python calls: whole values in and out, and a block's events.

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_Append
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t
from libc.string cimport memset


@cython.final
cdef class Event:
    """One record of System.Events.

    `phase` is {'ApplyExtrinsic': index}, 'Finalization' or 'Initialization'; `fields` the
    event's fields in the shape that a variant's fields have, () where it has none.
    """

    cdef readonly object phase
    cdef readonly str pallet
    cdef readonly str name
    cdef readonly object fields
    cdef readonly list topics

    __match_args__ = ("phase", "pallet", "name", "fields", "topics")

    def __init__(self, phase, str pallet, str name, fields, list topics=None):
        self.phase = phase
        self.pallet = pallet
        self.name = name
        self.fields = fields
        self.topics = [] if topics is None else topics

    @property
    def extrinsic(self):
        """Index of the extrinsic it was made in, None outside of any."""
        if isinstance(self.phase, dict):
            return self.phase.get("ApplyExtrinsic")
        return None

    def __eq__(self, other):
        if not isinstance(other, Event):
            return NotImplemented
        return self.__reduce__()[1] == other.__reduce__()[1]

    __hash__ = None

    def __reduce__(self):
        return Event, (self.phase, self.pallet, self.name, self.fields, self.topics)

    def __repr__(self):
        return f"Event({self.phase!r}, {self.pallet!r}, {self.name!r}, {self.fields!r})"


cdef int check_end(ScaleReader *r, bint trailing) except -1:
    if r.pos != r.end and not trailing:
        return reader_fail(r, f"{r.end - r.pos} bytes too many after the value")
    return 0


cdef int check_offset(bytes raw, object offset) except -1:
    if not 0 <= offset <= PyBytes_GET_SIZE(raw):
        raise CodecError(f"offset {offset} lies outside of {PyBytes_GET_SIZE(raw)} bytes")
    return 0


def decode_value(Registry registry not None, Py_ssize_t type_id, data, offset=0,
                 bint trailing=False):
    """Decode one value of a type; (value, offset behind it)."""
    cdef ScaleReader r
    cdef bytes raw = as_bytes(data)
    cdef ScalePlan plan = registry.plan(type_id)
    check_offset(raw, offset)
    reader_init(&r, raw, offset)
    cdef int collecting = PyGC_Disable()
    try:
        value = plan.decode(&r)
    except MemoryError:
        raise CodecError(f"a value of type {type_id} does not fit the memory") from None
    finally:
        if collecting:
            PyGC_Enable()
    check_end(&r, trailing)
    return value, r.pos - r.start


def skip_value(Registry registry not None, Py_ssize_t type_id, data, offset=0):
    """Return the offset behind one value of a type, which is checked as `decode_value` does."""
    cdef ScaleReader r
    cdef bytes raw = as_bytes(data)
    cdef ScalePlan plan = registry.plan(type_id)
    check_offset(raw, offset)
    reader_init(&r, raw, offset)
    skip_plan(plan, &r)
    return r.pos - r.start


def encode_value(Registry registry not None, Py_ssize_t type_id, value):
    """Encode a value as a type."""
    cdef ScaleWriter w
    cdef ScalePlan plan = registry.plan(type_id)
    writer_init(&w)
    try:
        plan.encode(value, &w)
        return PyBytes_FromStringAndSize(<const char *>w.data, w.size)
    except MemoryError:
        raise CodecError(f"a value of type {type_id} does not fit the memory") from None
    finally:
        writer_free(&w)


def prepare_plans(Registry registry not None):
    """Make the plan of every type now."""
    cdef Py_ssize_t i
    cdef int collecting = PyGC_Disable()
    try:
        for i in range(len(registry.types)):
            registry.plan(i)
    finally:
        if collecting:
            PyGC_Enable()


@cython.final
cdef class EventDecoder:
    """Decodes System.Events to `Event` objects, those of some pallets alone if asked for."""

    cdef Registry registry
    cdef ScalePlan records
    cdef ScalePlan phase
    cdef VariantPlan event
    cdef ScalePlan topics

    def __init__(self, Registry registry not None, Py_ssize_t type_id):
        self.registry = registry  # the owner of all plans
        self.records = registry.plan(type_id)
        record = (
            (<SequencePlan>self.records).item if type(self.records) is SequencePlan else None
        )
        if type(record) is not StructPlan or (<StructPlan>record).names != (
            "phase", "event", "topics"
        ):
            raise CodecError(f"type {type_id} of the metadata is not a list of event records")
        phase, event, topics = (<StructPlan>record).plans
        if type(event) is not VariantPlan:
            raise CodecError(f"type {type_id} of the metadata holds events that are no enum")
        if type(topics) is not SequencePlan:
            raise CodecError(f"type {type_id} of the metadata holds topics that are no list")
        for case in (<VariantPlan>event).cases.values():
            if type((<VariantCase>case).payload) is not VariantPlan:
                raise CodecError(f"events of {(<VariantCase>case).name} are no enum")
        self.phase = <ScalePlan>phase
        self.event = <VariantPlan>event
        self.topics = <ScalePlan>topics

    def decode(self, data, pallets=None):
        """Decode all records, or (`pallets`, a set of names) those of some pallets."""
        cdef ScaleReader r
        cdef bytes raw = as_bytes(data)
        cdef ScalePlan item = (<SequencePlan>self.records).item
        cdef Py_ssize_t i, count
        cdef int collecting
        cdef list result = []
        cdef bint[256] wanted
        memset(wanted, 0, sizeof(wanted))
        if pallets is not None:
            for case in self.event.cases.values():
                wanted[(<VariantCase>case).index] = (<VariantCase>case).name in pallets
        reader_init(&r, raw, 0)
        count = reader_length(&r, item.floor)
        reader_enter(&r, <PyObject *>self.records)
        collecting = PyGC_Disable()
        try:
            for i in range(count):
                r.frames[0].step = i
                if pallets is None or wanted[self.pallet_index(&r)]:
                    PyList_Append(result, self.record(&r))
                else:
                    skip_plan(item, &r)
        except MemoryError:
            raise CodecError("events do not fit the memory") from None
        finally:
            if collecting:
                PyGC_Enable()
        r.depth = 0
        check_end(&r, False)
        return result

    cdef uint8_t pallet_index(self, ScaleReader *r) except? 255:
        """Look ahead of which pallet the next record is."""
        cdef const uint8_t *start = r.pos
        skip_plan(self.phase, r)
        cdef uint8_t index = self.event.case_at(r).index
        r.pos = start
        return index

    cdef Event record(self, ScaleReader *r):
        cdef Event event = Event.__new__(Event)
        cdef VariantCase pallet, case
        cdef VariantPlan inner
        cdef int level = r.depth
        event.phase = self.phase.decode(r)
        pallet = self.event.case_at(r)
        reader_enter(r, <PyObject *>self.event)
        r.frames[level].step = pallet.index
        inner = <VariantPlan>pallet.payload
        case = inner.case_at(r)
        event.pallet = pallet.name
        event.name = case.name
        if case.payload is None:
            event.fields = ()
        else:
            reader_enter(r, <PyObject *>inner)
            r.frames[level + 1].step = case.index
            event.fields = case.payload.decode(r)
        r.depth = level
        event.topics = <list?>self.topics.decode(r)
        return event
