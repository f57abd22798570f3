"""The paper as declared: its table and the audit of derived columns, questions, sizes, and a run from end to end."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from repro.configuration.compose import compose
from repro.configuration.identity import flat, scientific
from repro.contract.paper import Paper
from repro.errors import ConfigError
from repro.phases.facts import parameters
from repro.phases.members import below
from repro.phases.tasks import rule_of
from repro.questions import load_questions
from repro.reference import audit, load_table
from repro.report.collecting.trajectories import axis_of
from repro.verdict import Measured, Verdict, judge

TABLE = Path(__file__).parents[3] / "reference_numbers" / "ppo.yaml"


def test_tolerances_follow_from_three_runs() -> None:
    rows = [record for record in load_table(TABLE).records if record.id.startswith("cleanrl_")]
    assert len(rows) == 9
    for row in rows:
        assert row.tolerance is not None and row.spread is not None and row.statistic == "last"
        assert (row.metric, row.split, row.seeds) == ("last_100_episodes", "train", 3)
        error = row.spread.value / 3**0.5  # of the mean of three; the table holds the sample's deviation
        assert row.tolerance.value == pytest.approx(max(0.005, 4.303 * error), rel=0.01)


def test_the_audit_finds_the_derived_cell_that_does_not_follow() -> None:
    derived = {result.record: result for result in audit(load_table(TABLE)) if result.record.startswith("engstrom_a")}
    # |PPO - PPO-M| = 2513 - 2142 = 371 and |TRPO+ - TRPO| = 2466 - 2043 = 423; the table prints 421
    assert derived["engstrom_acli_hopper"].derived == 423
    assert [name for name, result in derived.items() if not result.holds] == ["engstrom_acli_hopper"]


def test_rows_that_this_run_cannot_decide_say_why() -> None:
    rows = {row.id: row for row in judge(load_table(TABLE), Measured(data="cartpole"))}
    table_1 = rows["table_1_clip_02"]
    assert (
        table_1.verdict is Verdict.NOT_RUN
        and table_1.command == ""
        and "none of which the paper prints" in table_1.reason
    )
    assert rows["td3_hopper"].command.endswith("data.environment=Hopper-v4 reproduction.evaluate_every=800")
    assert any("v1" in note for note in rows["td3_hopper"].notes)
    assert "data.scale_rewards=false" in rows["engstrom_ppo_m_hopper"].command


@pytest.mark.parametrize(
    ("overrides", "size"),
    [
        # 2 · (4 · 64 + 64² + 2 · 64) + 64 · 2 + 2 + 64 + 1
        ([], 9155),
        # 2 · (11 · 64 + 64² + 2 · 64) + 64 · 3 + 2 · 3 + 64 + 1
        (["data=mujoco"], 10_119),
    ],
)
def test_measured_sizes(overrides: list[str], size: int) -> None:
    assert parameters(Paper.from_config(compose(["paper=ppo", *overrides]).config)) == size


def test_every_tricky_part_that_names_a_question_has_it() -> None:
    paper = Paper.from_config(compose(["paper=ppo"]).config)
    questions = {question.id for question in load_questions(paper)}
    asked = {part.guard for part in paper.tricky_parts if "-" in part.guard}
    assert asked and asked <= questions


def test_budgets_are_whole_rollouts() -> None:
    for choice in ("cartpole", "acrobot", "mountaincar", "mujoco"):
        settings = Paper.from_config(compose(["paper=ppo", f"data={choice}"]).config).settings
        data, budget = settings["data"], settings["budget"]
        assert budget["per_rollout"] == data["epochs"] * data["minibatches"]
        steps = budget["updates"] / budget["per_rollout"] * data["environments"] * data["horizon"]
        wanted = 1_000_000 if choice == "mujoco" else 500_000
        assert wanted - data["environments"] * data["horizon"] < steps <= wanted
        assert budget["part"] % budget["per_rollout"] == 0
        assert settings["training"]["updates"] == budget["updates"]


def test_steps_of_an_update_and_what_a_task_decides() -> None:
    ran = {
        choice: compose(["paper=ppo", f"data={choice}"]) for choice in ("cartpole", "acrobot", "mountaincar", "mujoco")
    }
    made = {choice: Paper.from_config(composed.config).settings for choice, composed in ran.items()}
    sizes = {choice: axis_of(settings["paper"]["steps"]) for choice, settings in made.items()}
    # 4 actors, 128 steps, 4 epochs of 4 minibatches; 1 actor, 2048 steps, 10 epochs of 32 minibatches
    assert sizes["acrobot"] == ("environment steps", 32.0) and sizes["mujoco"] == ("environment steps", 6.4)
    rule = rule_of(made["cartpole"])
    assert rule is not None and rule.task(made["acrobot"]) == "Acrobot-v1"
    # on classic control nothing but the task differs; MuJoCo's runs have other settings
    flat_ones = {choice: {k: str(v) for k, v in flat(scientific(settings))} for choice, settings in made.items()}
    first = flat_ones.pop("cartpole")
    others = {
        choice: {
            key
            for key in {*one, *first}
            if one.get(key) != first.get(key) and not below(key, (rule.by, *rule.settings))
        }
        for choice, one in flat_ones.items()
    }
    assert others["acrobot"] == others["mountaincar"] == set() and "data.horizon" in others["mujoco"]


def test_a_wrong_axis_or_rule_is_named() -> None:
    settings = dict(Paper.from_config(compose(["paper=ppo"]).config).settings)
    settings["paper"] = {
        **settings["paper"],
        "steps": {"unit": "environment steps", "per_update": "actors * 4", "names": {}},
        "tasks": {"by": "data.environmnt", "settings": "space"},
    }
    with pytest.raises(ConfigError) as raised:
        Paper.from_config(settings)
    assert "paper.steps.per_update: 'actors * 4' uses actors, which no name gives" in raised.value.message
    assert "paper.tasks.by: data.environmnt is None, need a setting with text" in raised.value.message
    assert "paper.tasks.settings: got 'space', need a list of dotted keys" in raised.value.message


def test_the_low_end_of_a_scale_is_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    script = TABLE.parents[1] / "scripts" / "random_policy.py"
    spec = importlib.util.spec_from_file_location("random_policy", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.returns("CartPole-v1", 200, 0)
    assert found == module.returns("CartPole-v1", 200, 0) != module.returns("CartPole-v1", 200, 1)
    table = load_table(TABLE)
    assert table.tasks is not None and (scale := table.tasks.of("CartPole-v1")) is not None
    # 200 of the 1,000 episodes that the table names: four standard errors of their mean
    assert abs(sum(found) / 200 - scale.low.printed.number) < 4 * 12 / 200**0.5
    assert all(task.low.source.startswith(f"scripts/random_policy.py {task.name} ") for task in table.tasks.scores)


def test_a_shorter_process_anneals_over_its_own_length() -> None:
    composed = compose(["paper=ppo"]).with_changes({"reproduction.updates": 3120})
    assert Paper.from_config(composed.config).settings["training"]["updates"] == 3120


@pytest.mark.slow
def test_a_small_run_from_end_to_end(tmp_path: Path) -> None:
    from repro.commands import main

    command = ["run", "paper=ppo", "scale=smoke", f"runs_folder={tmp_path}", "tracking.wandb=disabled"]
    assert main(command) == 0  # facts hold, no row mismatches
    evidence = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("ppo/*/evidence/*.json")}
    assert {name: phase["outcome"] for name, phase in evidence.items()} == dict.fromkeys(evidence, "passed")
    ran = {f["check"] for phase in evidence.values() for f in phase["findings"] if f["outcome"] == "passed"}
    own = {"acting_policy_stored", "advantages_normalised", "acting_seeds", "ppo_loss_value", "gae_oracle_agrees"}
    assert own | {"resume", "seeding", "evaluation_leaves_training_untouched", "collect_agrees"} <= ran
    (metrics,) = (json.loads(path.read_text()) for path in tmp_path.glob("ppo/*/code/*/processes/seed-0/metrics.json"))
    assert set(metrics["metrics"]) == {"episode_return", "episode_return_sd", "last_100_episodes"}
