"""The compiled messages, their faces and tables."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool

from prbkit.wire import METHODS, PRPC, Empty, pruntime, walkie

ROOT = Path(__file__).parents[2]


def test_compiled_set_is_that_of_the_proto_files() -> None:
    pytest.importorskip("grpc_tools")
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    spec = importlib.util.spec_from_file_location("make_protos", ROOT / "tools/make_protos.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    made = FileDescriptorSet.FromString(tool.compile_protos())
    held = FileDescriptorSet.FromString((ROOT / "prbkit/wire/wire.binpb").read_bytes())
    ours = {f.name: f for f in held.file if not f.name.startswith("google/")}
    assert {f.name: f for f in made.file if not f.name.startswith("google/")} == ours


def test_nothing_enters_the_global_pool() -> None:
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("prb.WalkieSystemInfo")


@pytest.mark.parametrize("face", [walkie, pruntime])
def test_stub_names_what_the_module_has(face: object) -> None:
    module = sys.modules[face.__name__]  # type: ignore[attr-defined]
    stub = Path(str(module.__file__)).with_suffix(".pyi").read_text()
    for name in module.__all__:
        assert f"class {name}(Message)" in stub or f"\n{name}: _{name}\n" in stub


def test_field_numbers_on_the_wire() -> None:
    info = walkie.Info(status=walkie.Status.S_IDLE, para_committed_height=-1)
    assert info.SerializeToString() == b"\x08\x02\x58" + b"\xff" * 9 + b"\x01"
    state = walkie.WorkerState(status=walkie.WorkerState.S_ERROR, public_key="a")
    assert state.SerializeToString() == b"\x08\x07\x42\x01a"
    request = pruntime.InitRuntimeRequest(is_parachain=True, attestation_provider=b"")
    assert request.SerializeToString() == b"\x30\x01\x3a\x00"


def test_optional_fields_have_presence() -> None:
    info = pruntime.PhactoryInfo()
    assert not info.HasField("public_key")
    info.public_key = ""
    assert info.HasField("public_key")
    ref = walkie.PoolOrWorkerQueryIdentity(pid=0)
    assert ref.WhichOneof("identity") == "pid"


def test_enums_by_name() -> None:
    assert walkie.ResponseErrorType.NOT_FOUND == 2
    assert walkie.ResponseErrorType.Name(3) == "DUPLICATED"
    assert pruntime.GatekeeperRole.Value("None") == 0
    assert walkie.WorkerState.Status.S_KICKED == 6


def test_methods() -> None:
    assert len(METHODS) == 17
    assert METHODS["GetStatus"].response is walkie.Json
    assert METHODS["CreatePool"].request is walkie.CreatePool
    assert {name for name, method in METHODS.items() if method.access == "command"} == {
        "CreatePool",
        "CreateWorker",
        "KickWorker",
        "RefreshRaAndRestartWorker",
        "RestartWorker",
        "UpdatePool",
        "UpdateWorker",
    }


def test_prpc() -> None:
    assert PRPC["GetInfo"] == (Empty, pruntime.PhactoryInfo)
    assert PRPC["GetRuntimeInfo"] == (pruntime.GetRuntimeInfoRequest, pruntime.InitRuntimeResponse)
    assert PRPC["Stop"] == (pruntime.StopOptions, pruntime.Empty)
    assert len(PRPC) == 40
    assert Empty is pruntime.Empty
