"""The generated data set against the published one: by recorded numbers, and by the authors' package as an oracle."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from repro.papers.mnist1d.signals import (
    Generation,
    dilated,
    draw_signals,
    further,
    published,
    stretched,
    subsampled,
    templates,
)


@pytest.fixture(scope="module")
def oracle() -> Any:
    """The authors' generator; it takes five seconds for the whole data set, so smaller ones are compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the package imports for its plots
        pytest.importorskip("mnist1d", reason="the authors' package is not installed", exc_type=ImportError)
        from mnist1d import data

    state = np.random.get_state()
    yield data
    np.random.set_state(state)
    sys.modules.pop("mnist1d", None)


def settings_of(oracle: Any, **changes: Any) -> Any:
    settings = oracle.get_dataset_args()
    for name, value in changes.items():
        setattr(settings, name, value)
    return settings


def test_published_numbers() -> None:
    # read off mnist1d_data.pkl of github.com/greydanus/mnist1d at 7878d960
    train, test, _, _ = published(Generation())
    assert train.signals.shape == (4000, 40) and test.signals.shape == (1000, 40)
    first = [-0.3320056673693902, -0.4719103656557236, -0.778697076293495, -1.0097408265367047]
    np.testing.assert_allclose(train.signals[0, :4], first, rtol=1e-12)
    np.testing.assert_allclose(test.signals[-1, -3:], [0.6598756470890784, 0.8777343497528006, 1.193151836835276])
    assert train.labels[:12].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]
    assert test.labels[:12].tolist() == [2, 6, 3, 9, 4, 3, 1, 9, 5, 2, 0, 7]
    assert np.abs(test.signals).sum() == pytest.approx(29977.877540866408, rel=1e-12)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ({}, {}),
        ({"seed": 7}, {"seed": 7}),
        ({"scale": 0.0, "shear": 0.0}, {"scale_coeff": 0.0, "shear_scale": 0.0}),
        ({"padding": (10, 20), "max_translation": 5}, {"padding": [10, 20], "max_translation": 5}),
        ({"correlated_noise": 1.0, "white_noise": 0.0}, {"corr_noise_scale": 1.0, "iid_noise_scale": 0.0}),
        ({"length": 25}, {"final_seq_length": 25}),
    ],
)
def test_equal_to_the_authors_generator(oracle: Any, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    made = oracle.make_dataset(settings_of(oracle, num_samples=200, **theirs))
    train, test, _, _ = published(Generation(samples=200, train=160, **ours))
    np.testing.assert_allclose(train.signals, made["x"], rtol=0, atol=1e-13)
    np.testing.assert_allclose(test.signals, made["x_test"], rtol=0, atol=1e-13)
    assert (train.labels == made["y"]).all() and (test.labels == made["y_test"]).all()


@pytest.mark.slow
def test_whole_data_set_bit_for_bit(oracle: Any) -> None:
    made = oracle.make_dataset(settings_of(oracle))
    train, test, _, _ = published(Generation())
    assert (train.signals == made["x"]).all() and (test.signals == made["x_test"]).all()


def test_templates_start_and_end_at_zero() -> None:
    x = templates()
    assert x.shape == (10, 12)
    np.testing.assert_allclose(x[:, [0, -1]], 0, atol=1e-15)
    np.testing.assert_allclose(x.std(axis=1), 1 / 6)
    # digit 1 by hand: raw mean 49 / 12; raw 5 and 3 are 2 apart, so x[1] lies 2 / (6 std) below x[0]
    raw = np.array([5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5])
    assert x[1, 1] == pytest.approx(-2 / (6 * raw.std()))


def test_stretched_by_hand() -> None:
    assert stretched(np.array([0.0, 1.0, 0.0]), 5).tolist() == [0.0, 0.5, 1.0, 0.5, 0.0]


def test_more_padding_makes_a_narrower_digit() -> None:
    table = dilated(36, 60)
    assert table.shape == (10, 25, 72)
    widths = (table[0] != 0).sum(axis=1)
    assert (np.diff(widths) <= 0).all() and widths[0] > widths[-1]


def test_subsampled_equals_numpy_row_by_row() -> None:
    x = np.random.default_rng(0).normal(size=(5, 72))
    for length in (40, 25, 72, 3):
        expected = [np.interp(np.linspace(0, 1, length), np.linspace(0, 1, 72), row) for row in x]
        np.testing.assert_allclose(subsampled(x, length), expected, rtol=0, atol=1e-14)


def test_noise_stays_out_of_the_digit() -> None:
    loud = Generation(
        scale=0, shear=0, white_noise=0, max_translation=1, correlated_noise=100, padding=(60, 60), length=72
    )
    x = draw_signals(np.array([3]), np.random.RandomState(0), loud)[0]
    digit = dilated(60, 60)[3, 0]
    inside = digit != 0
    np.testing.assert_array_equal(x[inside], digit[inside])
    assert np.abs(x[~inside]).min() > 1e-3 and gaussian_filter1d(np.ones(3), 2).tolist() == pytest.approx([1, 1, 1])


def test_further_signals_are_new_and_standardised_alike() -> None:
    train, _, _, _ = published(Generation())
    more = further(Generation(), 1000, 43)
    assert np.bincount(more.labels).tolist() == [100] * 10
    assert abs(more.signals.mean()) < 0.05 and abs(more.signals.std() - 1) < 0.05
    known = {row.tobytes() for row in train.signals}
    assert not any(row.tobytes() in known for row in more.signals)
    assert (further(Generation(), 1000, 44).signals != more.signals).any()
