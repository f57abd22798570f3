"""Images: the mean, crops and flips worked by hand, disjoint splits, and a stream that resumes within a pass."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from repro.papers.resnet.data import Images, augment, digits, handwritten, parted, per_pixel_mean, preprocess


def images(seed: int = 0, **changes: object) -> Images:
    """Ten images of 4 × 5 pixels in two colours, the first of each split all black."""
    pixels = np.random.default_rng(7).integers(0, 256, size=(30, 4, 5, 2), dtype=np.uint8)
    labels = np.arange(30) % 10
    splits = [(pixels[i : i + 10], labels[i : i + 10]) for i in (0, 10, 20)]
    options: dict[str, object] = {"batch_size": 4, "evaluation_batch": 3, "padding": 1, "flip": True}
    return Images(*splits, seed=seed, **options | changes)  # type: ignore[arg-type]


def test_preprocess_by_hand() -> None:
    raw = torch.tensor([[[[0, 51], [102, 153]]], [[[51, 51], [204, 255]]]], dtype=torch.uint8)  # [2, 1, 2, 2]
    first = raw.permute(0, 3, 1, 2).float() / 255
    mean = per_pixel_mean(first).float()
    torch.testing.assert_close(mean, torch.tensor([[[0.1, 0.6]], [[0.2, 0.8]]]))
    seen = preprocess(raw, mean)
    torch.testing.assert_close(seen[0], torch.tensor([[[-0.1, -0.2]], [[0.0, -0.2]]]))
    torch.testing.assert_close(seen.mean(0), torch.zeros(2, 1, 2))


def test_the_mean_is_that_of_training_images_alone() -> None:
    data = images()
    train = torch.cat([preprocess(data.splits["train"][0], data.mean)])
    torch.testing.assert_close(train.mean(0), torch.zeros(2, 4, 5), atol=1e-6, rtol=0)
    test = torch.cat([batch["image"] for batch in data.batches("test")])
    torch.testing.assert_close(test, preprocess(data.splits["test"][0], data.mean))


def test_every_crop_and_its_mirror_is_drawn_and_nothing_else() -> None:
    image = torch.arange(1.0, 7.0).reshape(1, 2, 3)
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
    possible = {
        tuple(side.flatten().tolist())
        for top in range(3)
        for left in range(3)
        for side in (
            padded[:, top : top + 2, left : left + 3],
            padded[:, top : top + 2, left : left + 3].flip(2),
        )
    }
    made = augment(image.expand(2000, 1, 2, 3), 1, generator=torch.Generator().manual_seed(0))
    assert {tuple(one.flatten().tolist()) for one in made} == possible
    assert torch.equal(augment(image[None], 0, flip=False), image[None])


def test_a_pass_holds_every_image_once_in_a_new_order() -> None:
    data = images(padding=0, flip=False)
    first, second = (list(data.batches("train")) for _ in range(2))
    assert [len(batch["label"]) for batch in first] == [4, 4, 2]
    a, b = (torch.cat([batch["image"] for batch in one]).flatten(1) for one in (first, second))
    assert not torch.equal(a, b)
    assert sorted(map(tuple, a.tolist())) == sorted(map(tuple, b.tolist()))
    known = dict(zip(map(tuple, a.tolist()), torch.cat([x["label"] for x in first]).tolist(), strict=True))
    assert [known[tuple(row)] for row in b.tolist()] == torch.cat([x["label"] for x in second]).tolist()


@pytest.mark.parametrize("before", [0, 1, 2, 3, 5])
def test_the_stream_resumes_anywhere(before: int) -> None:
    def endless(data: Images) -> object:
        while True:
            yield from data.batches("train")

    data = images(seed=3)
    stream = endless(data)
    list(islice(stream, before))  # type: ignore[call-overload]
    other = images(seed=9)
    other.load_state_dict(data.state_dict())
    ours, theirs = (list(islice(s, 7)) for s in (stream, endless(other)))  # type: ignore[call-overload]
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a["image"], b["image"]) and torch.equal(a["label"], b["label"])


def test_augmentation_leaves_the_global_generator_and_the_stored_images_alone() -> None:
    data = images()
    stored = data.splits["train"][0].clone()
    state = torch.get_rng_state()
    list(data.batches("train"))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(data.splits["train"][0], stored)


def test_splits_are_disjoint_and_do_not_depend_on_the_seed_of_training() -> None:
    pixels, _ = handwritten()
    assert pixels.shape == (1797, 8, 8, 1) and pixels.min() == 0 and pixels.max() == 255
    parts = parted(np.arange(100, dtype=np.uint8), np.arange(100), (80, 15, 5), seed=1)
    assert [len(part) for part, _ in parts] == [80, 15, 5]
    assert sorted(np.concatenate([part for part, _ in parts])) == list(range(100))
    one, two = digits(seed=0), digits(seed=1)
    assert {name: len(y) for name, (_, y) in one.splits.items()} == {"train": 1197, "validation": 300, "test": 300}
    assert all(torch.equal(one.splits[name][0], two.splits[name][0]) for name in one.splits)
    assert not torch.equal(next(one.batches("train"))["label"], next(two.batches("train"))["label"])
