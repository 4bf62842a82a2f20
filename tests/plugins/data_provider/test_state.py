"""The kept state: its rows give the state again, whatever blocks change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prbkit.blobs import encode_storage_changes
from prbkit.errors import ProofError, StoreError, VerificationError
from prbkit.light import CHILD_PREFIX, Header, Trie
from prbkit_plugins.data_provider.state import ParaState, StateRow
from prbkit_plugins.data_provider.staterows import decode_row, encode_rows

_NAMES = st.sampled_from([b"one", b"two", b"x" * 300])
_KEYS = st.binary(min_size=1, max_size=2) | st.sampled_from([b"k" * 600, b"k" * 601])
_VALUES = st.none() | st.binary(max_size=40)
_PAIRS = st.lists(st.tuples(_KEYS, _VALUES), max_size=5)
_BLOCKS = st.lists(
    st.tuples(
        # A child's root in the main changes takes the child away.
        st.lists(
            st.tuples(_KEYS, _VALUES) | st.tuples(_NAMES.map(CHILD_PREFIX.__add__), st.none()),
            max_size=5,
        ),
        st.lists(st.tuples(_NAMES, _PAIRS), max_size=3),
    ),
    max_size=6,
)


@given(st.lists(_BLOCKS, max_size=4))
def test_rows_give_the_state_again(batches: list[list[tuple[list, list]]]) -> None:
    model = Trie()
    state = ParaState([], model.root)
    stored: dict[bytes, bytes] = {}
    for batch in batches:
        headers, changes = [], []
        for main, children in batch:
            root = model.apply(main, children)
            headers.append(_header(state.number + len(headers) + 1, root))
            changes.append(encode_storage_changes(main, children))
        puts, deletes = encode_rows(state.apply(headers, changes))
        assert all(len(key) <= 511 for key in puts)
        for key in deletes:
            stored.pop(key, None)
        stored |= puts
        rows = [decode_row(key, value) for key, value in stored.items()]
        again = ParaState(rows, model.root, state.number)
        assert again.number == state.number
        # No row is left over of what is gone.
        assert {(child, key): value for child, key, value in rows} == _content(model)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_row_is_read_or_refused(key: bytes, value: bytes) -> None:
    for place in (b"state/0/", b"state/1/", b"state/2/", b"state/"):
        try:
            child, _, _ = decode_row(place + key, value)
        except StoreError:
            continue
        assert child is None or isinstance(child, bytes)


def test_rows_of_another_state_are_refused() -> None:
    rows: list[StateRow] = [(None, b"a", b"1")]
    with pytest.raises(VerificationError, match="block 7"):
        ParaState(rows, Trie([(b"a", b"2")]).root, 7)


def _content(trie: Trie) -> dict[tuple[bytes | None, bytes], bytes]:
    found: dict[tuple[bytes | None, bytes], bytes] = {(None, k): v for k, v in trie.items()}
    for name in trie.children():
        try:
            found |= {(name, key): value for key, value in trie.items(child=name)}
        except ProofError:
            continue
    return found


def _header(number: int, root: bytes) -> bytes:
    return Header.make(
        parent_hash=bytes(32), number=number, state_root=root, extrinsics_root=bytes(32)
    ).scale
