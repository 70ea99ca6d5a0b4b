"""How batches are read: their size, the images' size, and a process's share of them."""

from __future__ import annotations

import dataclasses

from labor_jax.data import transforms


@dataclasses.dataclass(frozen=True)
class ProcessShare:
    """Which rows of every batch this process reads: block `index` of `count` equal blocks.

    Raises:
      ValueError: `index` is not 0 to `count` - 1.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self):
        if not 0 <= self.index < self.count:
            raise ValueError(
                f"process {self.index} of {self.count}: the index must be 0 to count - 1"
            )


@dataclasses.dataclass(frozen=True)
class BatchSpec:
    """The form of batches, and how they are read. The same for training and inference.

    Attributes:
      batch_size: images in a batch, over all processes.
      size: (h, w) that images are resized to; None for their own size.
      num_threads: threads that read images; None for the number of cores, at most 16.
      share: the rows that this process reads. The shares of all processes, in order, are the batch
        that a single process would read.

    Raises:
      ValueError: invalid attribute, or the processes can't share a batch equally.
    """

    batch_size: int
    size: tuple[int, int] | None = None
    num_threads: int | None = None
    share: ProcessShare = ProcessShare()

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {self.batch_size}")
        if self.num_threads is not None and self.num_threads < 1:
            raise ValueError(f"num_threads must be 1 or more, or None, got {self.num_threads}")
        transforms.check_size(self.size, "size")
        if self.batch_size % self.share.count:
            raise ValueError(
                f"{self.share.count} processes cannot share batches of {self.batch_size} images "
                "equally: the number of processes must divide batch_size"
            )

    @property
    def local_batch_size(self) -> int:
        """Images of a batch that this process reads."""
        return self.batch_size // self.share.count

    @property
    def first_row(self) -> int:
        """The row of the whole batch where this process's share begins."""
        return self.share.index * self.local_batch_size
