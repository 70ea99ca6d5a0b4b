"""Tests of writing weight files; `torchvision_test` and `published_test` read them back."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models.weights.files import WeightsError, read_tensors, write_tensors

TENSORS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.num_batches_tracked": np.asarray(0, np.int64),
}


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth", ".pt"])
def test_written_tensors_are_read_back_and_replace_a_file(tmp_path, suffix):
    if suffix.startswith(".pt"):
        pytest.importorskip("torch", reason="PyTorch files need torch")
    path = str(tmp_path / f"weights{suffix}")
    write_tensors(path, {"old": np.zeros(3, np.float32)})
    write_tensors(path, TENSORS)
    read = read_tensors(path)
    assert sorted(read) == sorted(TENSORS)
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(read[name], tensor)
        assert read[name].dtype == tensor.dtype


def test_two_tables_are_written_as_ripu_reads_them(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch files need torch")
    path = str(tmp_path / "weights.pth")
    tensors = {"feature_extractor.backbone.b": np.ones(2), "classifier.c": np.zeros(3)}
    write_tensors(path, tensors)
    table = torch.load(path, weights_only=True)
    assert {part: list(names) for part, names in table.items()} == {
        "feature_extractor": ["backbone.b"],
        "classifier": ["c"],
    }
    assert sorted(read_tensors(path)) == sorted(tensors)


def test_what_cannot_be_written_says_why_and_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"'\.onnx'; valid: \.pth, \.pt, \.safetensors, \.npz"):
        write_tensors(str(tmp_path / "weights.onnx"), TENSORS)
    with pytest.raises(WeightsError, match="absent does not exist; make it first"):
        write_tensors(str(tmp_path / "absent" / "weights.npz"), TENSORS)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(WeightsError, match=r"needs torch: pip install 'labor_jax\[pretrained\]'"):
        write_tensors(str(tmp_path / "weights.pth"), TENSORS)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(WeightsError, match=r"folder\.npz: can't be written: Is a directory\.$"):
        write_tensors(str(tmp_path / "folder.npz"), TENSORS)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.npz"]


def test_bfloat16_is_read_where_the_file_says_so(tmp_path):
    tensors = {"a": np.arange(4, dtype=np.float32).astype(jnp.bfloat16)}
    write_tensors(str(tmp_path / "weights.safetensors"), tensors)
    read = read_tensors(str(tmp_path / "weights.safetensors"))
    np.testing.assert_array_equal(read["a"].astype(np.float32), range(4))
    np.savez(tmp_path / "weights.npz", **tensors)
    with pytest.raises(WeightsError, match=r"weights\.npz: 'a' holds \|V2, not numbers\."):
        read_tensors(str(tmp_path / "weights.npz"))
