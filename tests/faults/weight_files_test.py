"""Weight files of valid and of foreign tensors: read as they are, or refused by name."""

import zipfile

import numpy as np
import pytest

from labor_jax.models.weights.files import WeightsError, read_tensors


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch files need torch")


def test_parameters_are_read(tmp_path, torch):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.nn.Parameter(torch.arange(4.0))}, path)
    np.testing.assert_array_equal(read_tensors(str(path))["a"], np.arange(4.0))


@pytest.mark.parametrize("kind", ["sparse", "sparse_csr", "quantised", "meta", "8-bit", "complex"])
def test_a_tensor_without_plain_numbers_is_named(tmp_path, torch, kind):
    dense = torch.eye(3)
    make = {
        "sparse": dense.to_sparse,
        "sparse_csr": dense.to_sparse_csr,
        "quantised": lambda: torch.quantize_per_tensor(dense, 0.1, 0, torch.qint8),
        "meta": lambda: torch.empty(3, device="meta"),
        "8-bit": lambda: dense.to(torch.float8_e4m3fn),
        "complex": lambda: dense.to(torch.complex64),
    }
    path = tmp_path / "weights.pth"
    torch.save({"fine": dense, "layer.weight": make[kind]()}, path)
    word = kind.partition("_")[0]
    with pytest.raises(WeightsError, match=rf"weights\.pth: .*{word}|damaged"):
        read_tensors(str(path))


def test_a_foreign_member_of_an_archive_is_named(tmp_path):
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.ones(3))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(WeightsError, match=r"weights\.npz: 'notes\.txt' is not an array"):
        read_tensors(str(path))


def test_a_member_that_claims_to_be_huge_is_refused(tmp_path):
    path = tmp_path / "weights.npz"
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(WeightsError, match=r"weights\.npz: damaged"):
        read_tensors(str(path))
