"""Contrast of every pair of text and ground, and of the marks, computed from the style sheet."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

import repro.report

STYLE = (Path(repro.report.__file__).parent / "style.css").read_text("utf-8")
TEXT = ("ink", "soft", "match", "worse", "better", "open", "odd", "grey")
MARKS = ("match", "worse", "better", "openmark", "odd", "grey", "paper", "soft")


def tokens(dark: bool) -> dict[str, str]:
    light, _, rest = STYLE.partition("@media screen and (prefers-color-scheme: dark)")
    values = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", light))
    if dark:
        values |= dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", rest.split("}\n}")[0]))
    return values


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_on_page_panel_and_band(dark: bool) -> None:
    colours = tokens(dark)
    low = {
        (text, ground): round(contrast(colours[text], colours[ground]), 2)
        for text, ground in product(TEXT, ("page", "panel", "band"))
        if contrast(colours[text], colours[ground]) < 4.5
    }
    assert not low


@pytest.mark.parametrize("dark", [False, True])
def test_marks_stand_out(dark: bool) -> None:
    colours = tokens(dark)
    low = {
        (mark, ground): round(contrast(colours[mark], colours[ground]), 2)
        for mark, ground in product(MARKS, ("page", "band", "usable", "gap"))
        if contrast(colours[mark], colours[ground]) < 2.6
    }
    assert not low
    assert all(contrast(colours[mark], colours["page"]) >= 3 for mark in MARKS)
