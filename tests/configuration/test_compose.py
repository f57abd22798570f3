from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from repro.configuration import compose, folders
from repro.errors import ConfigError


def message(overrides: list[str]) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    return str(caught.value)


def test_a_paper_of_the_current_folder_with_its_default_data_set(folder: Path) -> None:
    composed = compose(["paper=tiny"])
    assert composed.config.model.width == 8
    assert composed.config.data._target_ == "tiny.dots"
    assert composed.choices == {
        "paper": "tiny", "data": "dots", "type": "own",
        "scale": "laptop", "sweep": "learning_rate", "launcher": "local",
    }  # fmt: skip
    assert "when" not in composed.config and "hydra" not in composed.config


def test_the_command_line_wins_over_the_default_data_set(folder: Path) -> None:
    composed = compose(["paper=tiny", "data=lines"])
    assert composed.config.dataset.name == "lines"
    assert composed.choices["data"] == "lines"
    assert composed.config.model.depth == 3


def test_later_conditions_win(folder: Path) -> None:
    config = compose(["paper=tiny", "scale=smoke", "data=lines"]).config
    assert (config.model.width, config.model.depth) == (4, 5)
    assert config.schedule.names.width == 4  # interpolations see what the condition changed
    assert config.reproduction.seeds == 1  # the scale's own values


@pytest.mark.parametrize(
    ("override", "width", "depth"),
    [
        ("model.width=9", 9, 1),  # the key itself: the other delta still holds
        ("model={width: 9}", 9, 2),  # a key above: neither delta may change it
        ("model.depth=7", 4, 7),
        ("++model.depth=7", 4, 7),
    ],
)
def test_what_the_person_overrides_stays(folder: Path, override: str, width: int, depth: int) -> None:
    config = compose(["paper=tiny", "scale=smoke", override]).config
    assert (config.model.width, config.model.depth) == (width, depth)


def test_a_delta_of_an_unknown_key_names_the_file(folder: Path) -> None:
    path = folder / "conf/paper/tiny.yaml"
    path.write_text(path.read_text().replace("{model.width: 4,", "{model.widht: 4,"))
    text = message(["paper=tiny", "scale=smoke"])
    assert "conf/paper/tiny.yaml line" in text and "model.widht" in text and "model.width" in text


def test_a_condition_that_is_no_choice(folder: Path) -> None:
    path = folder / "conf/paper/tiny.yaml"
    path.write_text(path.read_text().replace("scale=smoke: {", "size=smoke: {", 1))
    assert "size=smoke" in message(["paper=tiny"])


def test_changes_reach_what_refers_to_the_key(folder: Path) -> None:
    composed = compose(["paper=tiny"])
    changed = composed.with_changes({"model.width": 99})
    assert changed.config.schedule.names.width == 99
    assert composed.config.schedule.names.width == 8
    with pytest.raises(ConfigError, match=r"model\.wdth"):
        composed.with_changes({"model.wdth": 1})


def test_a_composed_config_travels_to_another_process(folder: Path) -> None:
    composed = pickle.loads(pickle.dumps(compose(["paper=tiny"])))
    assert composed.with_changes({"model.width": 3}).config.model.width == 3


def test_a_foreign_config_yaml_and_other_groups_are_ignored(folder: Path) -> None:
    (folder / "conf/config.yaml").write_text("this: [is not even YAML\n")
    (folder / "conf/scale").mkdir()
    (folder / "conf/scale/laptop.yaml").write_text("# @package _global_\nreproduction: {seeds: 77}\n")
    (folder / "conf/scale/mine.yaml").write_text("scale: {name: mine}\n")
    assert compose(["paper=tiny"]).config.reproduction.seeds != 77
    assert "mine" in message(["paper=tiny", "scale=mine"])
    assert "scale/" not in folders.added()


def test_one_line_names_what_was_added(folder: Path) -> None:
    assert folders.added() == f"Added from {folder}: conf/paper/, conf/data/, conf/type/"
    (folder / "reference_numbers").mkdir()
    assert folders.added().endswith("conf/type/, reference_numbers/")


def test_nothing_is_added_from_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folders.added() == ""
    assert "transformer" in folders.options("paper")


def test_a_name_that_repro_ships_cannot_be_taken(folder: Path) -> None:
    (folder / "conf/paper/transformer.yaml").write_text("paper: {name: transformer}\n")
    text = message(["paper=transformer"])
    assert "conf/paper/transformer.yaml" in text and "another name" in text


def test_the_folder_becomes_importable_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(folder))])
    folders.add_to_path()
    folders.add_to_path()
    assert sys.path.count(str(folder)) == 1 and sys.path[0] == str(folder)


def test_a_reference_table_of_the_folder_or_the_package(folder: Path) -> None:
    (folder / "reference_numbers").mkdir()
    (folder / "reference_numbers/tiny.yaml").write_text("records: {}\n")
    assert folders.reference_table("tiny") == folder / "reference_numbers/tiny.yaml"
    assert folders.reference_table("transformer").parent == folders.package_references()
    with pytest.raises(ConfigError, match=r"nothing\.yaml.*\n?.*Known: .*tiny"):
        folders.reference_table("nothing")


# --- errors: each names the thing, what was got, what was needed


def test_unknown_paper_with_near_matches(folder: Path) -> None:
    text = message(["paper=tinny"])
    assert "no paper 'tinny'" in text and "Near: tiny" in text and "transformer" in text


def test_no_paper(folder: Path) -> None:
    assert "paper=<name>" in message(["scale=smoke"])


def test_unknown_option_of_a_group(folder: Path) -> None:
    text = message(["paper=tiny", "data=lins"])
    assert "no data set 'lins'" in text and "Near: lines" in text


def test_unknown_key_with_near_keys(folder: Path) -> None:
    text = message(["paper=tiny", "model.widht=3"])
    assert "model.widht=3" in text and "Near: model.width" in text
    assert "reproduction.seeds" in message(["paper=tiny", "seeds=3"])
    assert "model.width" in message(["paper=tiny", "~model.widdth"])


def test_an_option_that_a_file_names_and_that_does_not_exist(folder: Path) -> None:
    path = folder / "conf/paper/tiny.yaml"
    path.write_text(path.read_text().replace("/data: dots", "/data: dotz"))
    text = message(["paper=tiny"])
    assert "dotz" in text and "Near: dots" in text and "conf/paper/tiny.yaml" in text


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.width=(", "cannot be read"),
        ("model.width=1,2", "--multirun"),
        ("tiny", "paper=tiny"),
        ("hydra.run.dir=x", "Hydra"),
        ("phase=data", "phases="),
        ("paper=[tiny]", "by name"),
        ("model@x=5", "model@x"),
    ],
)
def test_overrides_that_cannot_be(folder: Path, override: str, said: str) -> None:
    text = message(["paper=tiny", override])
    assert said in text and override.partition("=")[0] in text


def test_malformed_yaml_names_file_and_line(folder: Path) -> None:
    (folder / "conf/paper/broken.yaml").write_text("# @package _global_\npaper:\n  name: broken\n   title: x\n")
    text = message(["paper=broken"])
    assert "conf/paper/broken.yaml line 4" in text


def test_a_file_that_is_no_mapping(folder: Path) -> None:
    (folder / "conf/paper/broken.yaml").write_text("just words\n")
    assert "broken" in message(["paper=broken"])


def test_a_paper_file_without_its_header(folder: Path) -> None:
    (folder / "conf/paper/headless.yaml").write_text("paper: {name: headless}\n")
    text = message(["paper=headless", "type=own"])
    assert "headless.yaml" in text and "# @package _global_" in text


def test_missing_interpolation_names_file_line_and_key(folder: Path) -> None:
    path = folder / "conf/paper/tiny.yaml"
    path.write_text(path.read_text().replace("${model.width}", "${model.breadth}"))
    text = message(["paper=tiny"])
    assert "conf/paper/tiny.yaml line 8" in text and "schedule.names.width" in text and "model.breadth" in text


def test_a_value_that_must_be_given(folder: Path) -> None:
    path = folder / "conf/paper/tiny.yaml"
    path.write_text(path.read_text().replace("depth: 2", "depth: '???'"))
    text = message(["paper=tiny"])
    assert "conf/paper/tiny.yaml line 7" in text and "model.depth" in text
    assert compose(["paper=tiny", "model.depth=1"]).config.model.depth == 1


def test_data_for_another_paper(folder: Path) -> None:
    text = message(["paper=tiny", "data=other_dots"])
    assert "other_dots" in text and "someone_else" in text and "dots, lines" in text


@pytest.mark.parametrize(("paper", "data"), [("mnist1d", "cartpole"), ("ppo", "multi30k"), ("transformer", "digits")])
def test_data_for_another_paper_before_the_keys_that_it_lacks(folder: Path, paper: str, data: str) -> None:
    text = message([f"paper={paper}", f"data={data}"])
    assert f"The data set '{data}' is not for the paper '{paper}'" in text and "Interpolation" not in text


def test_every_wrong_setting_is_said_at_once(folder: Path) -> None:
    text = message(["paper=tiny", "reproduction.seeds=many", "keep_going=3", "phases=[analysi]", "questions=no"])
    assert "4 settings" in text
    for said in (
        "reproduction.seeds: got 'many'",
        "keep_going: got 3",
        "phases: got ['analysi']",
        "questions: got 'no'",
    ):
        assert said in text


def test_budgets_that_contradict_each_other(folder: Path) -> None:
    assert "reproduction.max_seeds" in message(["paper=tiny", "reproduction.seeds=9"])
    assert "gauntlet.learning_rate.to" in message(["paper=tiny", "gauntlet.learning_rate.to=1e-9"])
    assert "gauntlet.ablations.names" in message(["paper=tiny", "gauntlet.ablations.names=[no_width]"])
    assert compose(["paper=tiny", "gauntlet.ablations.names=[no_depth]"])


def test_seeds_of_a_system_that_is_not_there_or_are_none() -> None:
    said = message(["paper=mnist1d", "+reproduction.max_seeds_of.lstm=3", "reproduction.max_seeds_of.gru=0"])
    assert "reproduction.max_seeds_of.lstm: got 3, need one of the systems: logistic, mlp, cnn, gru, " in said
    assert "reproduction.max_seeds_of.gru: got 0, need a whole number" in said
    assert "reproduction.seed_batch: got 0" in message(["paper=mnist1d", "reproduction.seed_batch=0"])


def test_one_phase_needs_no_brackets_and_a_device_is_a_device(folder: Path) -> None:
    assert compose(["paper=tiny", "phases=data", "device=cuda:1"]).config.phases == "data"
    assert "device: got 'gpu'" in message(["paper=tiny", "device=gpu"])


def test_not_strict_leaves_the_checks_out(folder: Path) -> None:
    assert compose(["paper=tiny", "keep_going=3"], strict=False).config.keep_going == 3


def test_text_where_a_number_or_a_truth_value_is_needed(folder: Path) -> None:
    text = message(["paper=tiny", "model.width=wide", "schedule.learning_rate=rate"])
    assert "model.width: got 'wide', need a number (the default is 8, in conf/paper/tiny.yaml line" in text
    assert "schedule.learning_rate" not in text  # an expression is text by nature
    assert compose(["paper=tiny", "model.width=${model.depth}"]).config.model.width == 2


def test_text_for_text_composes_although_other_choices_refer_to_other_keys() -> None:
    # `when: data=multi30k` refers to data.direction, which number words do not have
    composed = compose(["paper=transformer", "tracking.wandb=disabled", "runs_folder=elsewhere"])
    assert composed.config.runs_folder == "elsewhere"


def test_a_config_that_is_not_utf8_names_file_and_line(folder: Path) -> None:
    file = folder / "conf/paper/tiny.yaml"
    file.write_bytes(file.read_bytes() + b"# caf\xe9\n")
    line = file.read_bytes().count(b"\n")
    assert f"conf/paper/tiny.yaml line {line}: got the byte 0xe9, need text in UTF-8" in message(["paper=tiny"])


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("reproduction: {max_seedz: 5}", "reproduction.max_seedz", "max_seeds"),
        ("gauntlet: {learning_rate: {updatse: 5}}", "gauntlet.learning_rate.updatse", "updates"),
        ("paper: {core_algorythm: x}", "paper.core_algorythm", "core_algorithm"),
    ],
)
def test_a_misspelt_key_of_a_paper_is_not_ignored(folder: Path, text: str, key: str, near: str) -> None:
    file = folder / "conf/paper/tiny.yaml"
    if text.startswith("paper"):
        file.write_text(file.read_text().replace("paper: {", "paper: {core_algorythm: x, "))
    else:
        file.write_text(f"{file.read_text()}{text}\n")
    said = message(["paper=tiny"])
    assert (
        "conf/paper/tiny.yaml line" in said and f"{key} is no key that repro reads" in said and f"Near: {near}" in said
    )


def test_keys_that_are_a_papers_own_may_stand(folder: Path) -> None:
    file = folder / "conf/paper/tiny.yaml"
    file.write_text(file.read_text() + "gauntlet: {learning_rate: {changes: {model.widths: 3}}}\nmine: {seedz: 1}\n")
    assert compose(["paper=tiny"]).config.mine.seedz == 1
