"""Images as batches: the per-pixel mean taken away, and in training a random crop of the padded image, or its mirror.

A batch is a dict of two tensors:

    image [batch, colours, rows, columns]  float32, from 0 … 1 less the mean of the training images at each pixel
    label [batch]                          int64

Section 4.2: "The network inputs are 32×32 images, with the per-pixel mean subtracted. […] 4 pixels are padded on each
side, and a 32×32 crop is randomly sampled from the padded image or its horizontal flip. For testing, we only evaluate
the single view of the original 32×32 image."
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from repro.papers.resnet import cifar

Pixels = NDArray[np.uint8]  # [n, rows, columns, colours], 0 … 255
Labels = NDArray[np.int64]  # [n]
Split = tuple[Pixels, Labels]


def per_pixel_mean(images: Tensor) -> Tensor:
    """[n, k, r, c] → float64 [k, r, c]: the mean over images of each pixel of each channel, in their own range."""
    return images.mean(dim=0, dtype=torch.float64)


def channels_first(images: Tensor) -> Tensor:
    """[n, r, c, k] of 0 … 255 → float [n, k, r, c] of 0 … 1."""
    return images.permute(0, 3, 1, 2).float() / 255


def preprocess(images: Tensor, mean: Tensor) -> Tensor:
    """Raw images [n, r, c, k] of 0 … 255 → what the network sees, [n, k, r, c], without the mean [k, r, c]."""
    return channels_first(images) - mean


def augment(images: Tensor, padding: int, flip: bool = True, generator: torch.Generator | None = None) -> Tensor:
    """Each image [n, k, r, c] as a random crop, of its own size, of itself padded with zeros; or of its mirror image.

    Zeros are the mean colour, since the mean is away by then. All crops are cut at once: `windows` is a view that holds
    every crop of every image, and one of them is read for each image.
    """
    n, _, rows, columns = images.shape
    padded = F.pad(images, (padding, padding, padding, padding))
    windows = padded.unfold(2, rows, 1).unfold(3, columns, 1)  # [n, k, places, places, r, c]
    top, left = torch.randint(2 * padding + 1, (2, n), generator=generator)
    crops = windows[torch.arange(n), :, top, left]  # [n, k, r, c]
    if not flip:
        return crops
    mirrored = torch.rand(n, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], crops.flip(3), crops)


class Images:
    """Batches of images that fit into memory; training in a new order each pass, augmented anew each time.

    Args:
        train, validation, test: images and labels.
        batch_size: images of a training batch; the last of a pass may be smaller.
        evaluation_batch: images of a validation or test batch.
        padding: pixels on each side, in training.
        flip: whether half of the training images are mirrored.
        seed: decides the order of training and every crop and flip, nothing else.
    """

    def __init__(
        self,
        train: Split,
        validation: Split,
        test: Split,
        batch_size: int,
        evaluation_batch: int,
        padding: int,
        flip: bool,
        seed: int = 0,
    ) -> None:
        splits = {"train": train, "validation": validation, "test": test}
        self.splits = {name: (torch.from_numpy(x), torch.from_numpy(y)) for name, (x, y) in splits.items()}
        train_images = self.splits["train"][0].permute(0, 3, 1, 2)  # of these alone is the mean
        self.mean = per_pixel_mean(train_images).float() / 255
        self.batch_size = batch_size
        self.evaluation_batch = evaluation_batch
        self.padding = padding
        self.flip = flip
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start the training stream afresh."""
        self.order = torch.Generator().manual_seed(seed)
        self.draws = torch.Generator().manual_seed(seed + 1_000_003)  # of crops and flips, apart from the order
        self.start_pass()

    def start_pass(self) -> None:
        """Begin a pass in the order that the generator gives next."""
        self.pass_state = self.order.get_state()
        self.position = 0  # batches of the current pass already handed out

    def batches(self, split: str) -> Iterator[dict[str, Tensor]]:
        """Train: from the current position to the end of the pass. Validation and test: everything, in one order."""
        images, labels = self.splits[split]
        if split != "train":
            for start in range(0, len(labels), self.evaluation_batch):
                end = start + self.evaluation_batch
                yield {"image": preprocess(images[start:end], self.mean), "label": labels[start:end]}
            return
        self.order.set_state(self.pass_state)
        rows = torch.randperm(len(labels), generator=self.order)
        while (start := self.position * self.batch_size) < len(labels):
            chosen = rows[start : start + self.batch_size]
            image = augment(preprocess(images[chosen], self.mean), self.padding, self.flip, self.draws)
            self.position += 1
            yield {"image": image, "label": labels[chosen]}
        self.start_pass()

    def synthetic(self, n: int, seed: int) -> dict[str, Tensor]:
        """n images of random pixels with random labels: nothing to see in them, but memorised they can be."""
        generator = torch.Generator().manual_seed(seed)
        shape = (n, *self.splits["train"][0].shape[1:])
        pixels = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        labels = torch.randint(10, (n,), generator=generator)
        return {"image": preprocess(pixels, self.mean), "label": labels}

    def state_dict(self) -> dict[str, Any]:
        """Where the training stream stands: it continues with the batch after the last one handed out."""
        return {"pass": self.pass_state.clone(), "position": self.position, "draws": self.draws.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.pass_state = state["pass"].clone()
        self.position = state["position"]
        self.draws.set_state(state["draws"])


def parted(images: Pixels, labels: Labels, sizes: tuple[int, ...], seed: int) -> list[Split]:
    """Disjoint splits of these sizes, drawn once: the same for every seed of training."""
    order = np.random.default_rng(seed).permutation(len(labels))
    ends = np.cumsum(sizes)
    return [(images[rows], labels[rows]) for rows in np.split(order[: ends[-1]], ends[:-1])]


def cifar10(
    batch_size: int = 128,
    evaluation_batch: int = 1000,
    padding: int = 4,
    flip: bool = True,
    validation: int = 500,
    split_seed: int = 0,
    folder: str | None = None,
    colours: int = 3,
    seed: int = 0,
) -> Images:
    """CIFAR-10: 50,000 images to train on, of which `validation` are set aside, and 10,000 to test.

    Args:
        folder: holds cifar-10-binary.tar.gz; None is $REPRO_DATA/cifar10 or the cache, with a download.
        split_seed: which images are set aside.
        colours: of an image; it is 3, and stands in the config for the model to refer to.
        the others: of `Images`.
    """
    (images, labels), test = cifar.read(cifar.located(folder))
    (train, held_out) = parted(images, labels, (len(labels) - validation, validation), split_seed)
    return Images(train, held_out, test, batch_size, evaluation_batch, padding, flip, seed)


@lru_cache(maxsize=1)
def handwritten() -> Split:
    """1,797 digits of 8 × 8 pixels by 43 writers, [n, 8, 8, 1]; scikit-learn carries them, nothing is downloaded.

    They are the test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998, UCI, CC BY 4.0).
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)  # they count ink from 0 to 16
    return pixels[..., None], found.target.astype(np.int64)


def digits(
    batch_size: int = 128,
    evaluation_batch: int = 300,
    padding: int = 1,
    flip: bool = False,
    validation: int = 300,
    test: int = 300,
    split_seed: int = 0,
    colours: int = 1,
    seed: int = 0,
) -> Images:
    """Handwritten digits, in disjoint splits. Their mirror images are no digits, so they are not flipped.

    Args:
        validation, test: images set aside.
        colours: of an image; it is 1, and stands in the config for the model to refer to.
        the others: of `cifar10` and `Images`.
    """
    images, labels = handwritten()
    sizes = (len(labels) - validation - test, validation, test)
    train, held_out, tested = parted(images, labels, sizes, split_seed)
    return Images(train, held_out, tested, batch_size, evaluation_batch, padding, flip, seed)
