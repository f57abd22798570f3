"""WMT 2014 on small archives of the real layout, served by a local server: nothing real is fetched."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from repro.configuration.compose import compose
from repro.contract.paper import Paper
from repro.errors import DataError
from repro.papers.transformer import number_words, wmt14
from repro.papers.transformer.data import EOS
from tests.served import Server, serving

VOCABULARY = 90
TRAIN = 240


def archive(members: dict[str, str], mode: str = "w:gz") -> bytes:
    """A tar with these texts; a name that ends in .gz is gzipped inside."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name, text in members.items():
            content = text.encode()
            content = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def lines(numbers: range, language: str) -> str:
    spell = number_words.english if language == "en" else number_words.german
    return "".join(f"{spell(n)}\n" for n in numbers)


def sgml(numbers: range, language: str) -> str:
    spell = number_words.english if language == "en" else number_words.german
    body = "\n".join(f'<seg id="{i}"> {spell(n)} &amp; more </seg>' for i, n in enumerate(numbers, 1))
    return f'<srcset setid="newstest2014" srclang="any">\n<doc docid="a">\n<p>\n{body}\n</p>\n</doc>\n</srcset>\n'


def contents() -> dict[str, bytes]:
    """Files by name: europarl with an empty side and a stranger, the rest plain; French only where it must be."""
    members: dict[str, dict[str, str]] = {}
    parts = {"europarl": range(80), "commoncrawl": range(80, 160), "nc": range(160, 240), "un": range(400, 440)}
    stems = {
        "europarl": ("training-parallel-europarl-v7.tgz", "training/europarl-v7.{x}-en.{l}"),
        "commoncrawl": ("training-parallel-commoncrawl.tgz", "commoncrawl.{x}-en.{l}"),
        "nc": ("training-parallel-nc-v9.tgz", "training/news-commentary-v9.{x}-en.{l}"),
        "un": ("training-parallel-un.tgz", "un/undoc.2000.{x}-en.{l}"),
    }
    for part, (name, stem) in stems.items():
        for x in ("de", "fr"):
            for language in (x, "en"):
                extra = ("" if language == "en" else "kein Satz") + "\n" if part == "europarl" else ""
                key = stem.format(x=x, l=language)
                members.setdefault(name, {})[key] = lines(parts[part], language) + extra
    members["training-giga-fren.tar"] = {
        f"giga-fren.release2.fixed.{language}.gz": lines(range(500, 530), language) for language in ("fr", "en")
    }
    members["dev.tgz"] = {
        f"dev/newstest2013.{language}": lines(range(600, 612), language) for language in ("de", "en", "fr")
    }
    for x in ("de", "fr"):
        members["dev.tgz"][f"dev/newstest2014-{x}en-src.{x}.sgm"] = sgml(range(700, 710), x)
        members["dev.tgz"][f"dev/newstest2014-{x}en-ref.en.sgm"] = sgml(range(700, 710), "en")
    return {name: archive(texts, "w" if name.endswith(".tar") else "w:gz") for name, texts in members.items()}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, dict[str, bytes]]]:
    """The archives behind a local server, with their own checksums, and an empty cache."""
    files = contents()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("REPRO_DATA", raising=False)
    wmt14.opened.cache_clear()
    with serving(files) as server:
        local = tuple(
            dataclasses.replace(a, address=server.address + a.name, sha256=hashlib.sha256(files[a.name]).hexdigest())
            for a in wmt14.ARCHIVES
        )
        monkeypatch.setattr(wmt14, "ARCHIVES", local)
        yield server, files


def load(**options: object) -> wmt14.Streamed:
    return wmt14.wmt14(VOCABULARY, 300, **{"window": 100, "evaluation_batch": 5, **options})  # type: ignore[arg-type]


def test_cut_and_damaged_archives_are_resumed_and_everything_is_read(
    served: tuple[Server, dict[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    server, _ = served
    server.behaviour = ["cut", "good", "damage"]
    data = load()
    assert "compiled for research" in capsys.readouterr().err  # the licence comes before the download
    assert server.ranges[1] is not None and server.ranges[1].startswith("bytes=")
    assert len(data.ids["train"]) == TRAIN  # the pair with an empty side is left out
    assert data.texts["validation"][0] == ("six hundred", "sechshundert")
    assert data.references("test")[0] == "siebenhundert & more"
    assert len(data.references("test")) == 10
    asked = len(server.ranges)
    wmt14.opened.cache_clear()
    load()
    assert len(server.ranges) == asked  # everything is kept


def test_pairs_belong_together_and_batches_are_bounded(served: tuple[Server, dict[str, bytes]]) -> None:
    data = load()
    seen = []
    for batch in data.batches("train"):
        assert batch["source"].numel() <= 300 and batch["target_output"].numel() <= 300
        for source, target in zip(batch["source"].tolist(), batch["target_output"].tolist(), strict=True):
            seen.append((data.decode(source), data.decode(target)))
    expected = [(number_words.english(n), number_words.german(n)) for n in range(TRAIN)]
    assert sorted(seen) == sorted(expected)
    assert [row for row in seen if row in expected[:20]] != expected[:20]  # shuffled
    assert next(iter(data.batches("test")))["target_output"][0].tolist().count(EOS) == 1


@pytest.mark.parametrize("handed_out", [0, 3, 7, 11])
def test_the_stream_resumes_at_any_batch(served: tuple[Server, dict[str, bytes]], handed_out: int) -> None:
    def endless(data: wmt14.Streamed) -> Iterator[dict[str, torch.Tensor]]:
        while True:
            yield from data.batches("train")

    whole = load(seed=3)
    stream = endless(whole)
    for _ in range(handed_out):
        next(stream)
    state = whole.state_dict()
    expected = [next(stream)["source"] for _ in range(60)]  # into the next pass
    resumed = load(seed=5)
    resumed.load_state_dict(state)
    got = [batch["source"] for _, batch in zip(range(60), endless(resumed), strict=False)]
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_french_takes_the_larger_corpora_too(served: tuple[Server, dict[str, bytes]]) -> None:
    assert len(load(direction="en-fr").ids["train"]) == TRAIN + 40 + 30


def test_long_pairs_are_left_out_of_training_only(served: tuple[Server, dict[str, bytes]]) -> None:
    data = load(longest=8)
    assert 0 < len(data.ids["train"]) < TRAIN
    assert max(data.ids["train"].source.lengths.max(), data.ids["train"].target.lengths.max()) <= 8  # type: ignore[attr-defined]
    assert len(data.references("validation")) == 12


def test_sides_of_unequal_length_are_refused(served: tuple[Server, dict[str, bytes]], tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    europarl = next(a for a in wmt14.ARCHIVES if "europarl" in a.name)
    members = {"training/europarl-v7.de-en.de": "eins\nzwei\n", "training/europarl-v7.de-en.en": "one\n"}
    path.write_bytes(archive(members))
    with pytest.raises(DataError, match="differ in length after 1 sentences"):
        list(wmt14.pairs(europarl, path, "en-de"))
    path.write_bytes(archive({"other": "x"}))
    with pytest.raises(DataError, match=r"has no member training/europarl-v7\.de-en\.en"):
        list(wmt14.pairs(europarl, path, "en-de"))
    path.write_bytes(archive(members)[:60])
    with pytest.raises(DataError, match="damaged or cut"):
        list(wmt14.pairs(europarl, path, "en-de"))


def test_named_folder_lacks_an_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.folder is .* holds no training-parallel-europarl-v7\.tgz"):
        wmt14.wmt14(VOCABULARY, 300, folder=str(tmp_path))


def test_direction_and_vocabulary_are_checked() -> None:
    with pytest.raises(ValueError, match=r"data\.direction is 'de-en', needed en-de or en-fr"):
        wmt14.wmt14(VOCABULARY, 300, direction="de-en")
    with pytest.raises(ValueError, match="two bytes"):
        wmt14.wmt14(70_000, 300)


def test_the_papers_configuration_composes() -> None:
    paper = Paper.from_config(compose(["paper=transformer", "scale=paper", "data=wmt14"]).config)
    settings = paper.settings
    assert settings["data"]["vocabulary"] == settings["model"]["vocabulary"] == 37_000
    assert settings["data"]["batch_tokens"] == 25_000
    assert settings["evaluation"]["tokenised"] == "en-de"
    assert (settings["evaluation"]["beam"], settings["evaluation"]["length_penalty"]) == (4, 0.6)
    assert settings["reproduction"]["keep_checkpoints"] == settings["evaluation"]["average"] == 5
