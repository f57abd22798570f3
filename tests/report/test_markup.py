from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from repro.report.markup import Markup, Names, fragment, tag
from tests.report.page import read


def test_text_and_attributes_are_escaped() -> None:
    assert tag("p", "<b>&\"'", title='"><script>') == (
        '<p title="&quot;&gt;&lt;script&gt;">&lt;b&gt;&amp;&quot;&#x27;</p>'
    )


def test_markup_is_kept_and_nothing_is_left_out() -> None:
    assert (
        tag("p", tag("b", 3), None, False, [0, Markup("<br>")], hidden=None, open=True) == "<p open><b>3</b>0<br></p>"
    )
    assert tag("line", x1=0, stroke_width=2, class_="a") == '<line x1="0" stroke-width="2" class="a"/>'


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    [paragraph] = read(tag("p", text, title=text)).all()
    assert not paragraph.all()
    assert len(paragraph.text()) == len(text.replace("\r\n", "\n").replace("\r", "\n")) or "\r" in text


def test_control_and_direction_marks_become_visible() -> None:
    assert fragment("a\x00b\u202ec") == "a\ufffdb\ufffdc"


@given(st.lists(st.text(string.ascii_letters + " _-é<", max_size=5), max_size=20))
def test_ids_are_unique_and_valid(texts: list[str]) -> None:
    names = Names()
    given_out = [names("row", text) for text in texts]
    assert len(set(given_out)) == len(texts)
    assert all(set(name) <= set(string.ascii_lowercase + string.digits + "-") for name in given_out)
