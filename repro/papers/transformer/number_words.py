"""Number words, English and German, as a translation task that needs no download.

What makes it a translation task: German says the unit before the ten ("dreiundsiebzig", three-and-seventy), writes one
long word, and drops "and" and commas. num2words spells the parts below one thousand; the two rules that join thousands
are written out here, because spelling every number by num2words would take several seconds.
"""

from __future__ import annotations

from functools import lru_cache

import torch

LARGEST = 999_999


@lru_cache(maxsize=4096)
def below_thousand(number: int, language: str) -> str:
    """num2words of 0 … 999, remembered."""
    from num2words import num2words

    return num2words(number, lang=language)


def english(number: int) -> str:
    """The number as num2words writes it in English: 73215 → seventy-three thousand, two hundred and fifteen."""
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return below_thousand(rest, "en")
    words = f"{below_thousand(thousands, 'en')} thousand"
    if not rest:
        return words
    return words + (" and " if rest < 100 else ", ") + below_thousand(rest, "en")


def german(number: int) -> str:
    """The number in German, as num2words writes it: 73215 → dreiundsiebzigtausendzweihundertfünfzehn."""
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return below_thousand(rest, "de")
    words = "ein" if thousands == 1 else below_thousand(thousands, "de")  # eins, but eintausend
    return words + "tausend" + (below_thousand(rest, "de") if rest else "")


@lru_cache(maxsize=4)
def splits(largest: int, train: int, held_out: int) -> dict[str, tuple[tuple[str, str], ...]]:
    """Disjoint sets of (English, German) pairs from 0 … largest.

    A fixed permutation decides who belongs where, so the splits depend on `largest` and `held_out` alone, never on a
    seed of training, and a larger `train` only adds numbers.

    Args:
        largest: largest number, at most 999,999.
        train: pairs to train on.
        held_out: pairs of validation and of test, each.

    Raises:
        ValueError: numbers outside the range, or more pairs asked for than exist.
    """
    if not 0 < largest <= LARGEST:
        raise ValueError(f"data.largest is {largest}, needed 1 to {LARGEST}")
    if train < 1 or held_out < 1 or train + 2 * held_out > largest + 1:
        raise ValueError(
            f"data.train={train} and twice data.held_out={held_out} do not fit into the {largest + 1} numbers "
            f"0 to {largest}"
        )
    order = torch.randperm(largest + 1, generator=torch.Generator().manual_seed(1706_03762)).tolist()
    parts = {
        "test": order[:held_out],
        "validation": order[held_out : 2 * held_out],
        "train": order[2 * held_out : 2 * held_out + train],
    }
    return {split: tuple((english(n), german(n)) for n in numbers) for split, numbers in parts.items()}
