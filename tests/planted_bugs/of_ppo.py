"""Bugs and correct variants of PPO, as patches of the real paper: the listed ones that apply, and more like them."""

# ruff: noqa: E501 (each planted bug is one line of a table)

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.contract.paper import Paper

from . import planting
from .planting import Patch, Planted

#: Why a listed bug has no place in PPO, whose code holds no such line.
ELSEWHERE = {
    "R09": "no action is squashed; tried on a piece",
    "R23": "no plain returns; tried on a piece",
    "R24": "no plain returns; tried on a piece",
    "R26": "no plain returns; tried on a piece",
    "X02": "one minibatch is one step: nothing accumulates",
    "X03": "one minibatch is one step: nothing accumulates",
    "X22": "the harness keeps the checkpoints, not the paper",
    "X33": "the paper augments nothing",
    "X39": "the harness runs the loop; the schedule is driven to the last update",
    "X41": "no sequences",
}


def plant(planted: Planted, folder: Path) -> Paper:
    """PPO with the patches made; `settings` are overrides, so that all that refers to them follows."""
    return planting.plant(replace(planted, settings={}, paper="ppo"), folder, typed(planted))


def typed(planted: Planted) -> tuple[str, ...]:
    """The settings as overrides, as a person would type them."""
    return tuple(f"{key}={'null' if value is None else value}" for key, value in planted.settings.items())


def bug(file: str, before: str, after: str, phase: str, likely: str, *components: str, **settings: Any) -> Planted:
    return Planted(
        (Patch(file, before, after),), phase, likely, {k.replace("__", "."): v for k, v in settings.items()}, components
    )


SURROGATE = "return -torch.min(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()"
RATIO = "ratio = (log_probability - old_log_probability).exp()\n    if clip"
ORDER = "self.order = torch.randperm(rows, generator=self.generator)"
YIELD = "yield self.minibatch(self.rollout, self.order[place * size : (place + 1) * size]) | beside"
FORWARD = "return self.actor(observation), self.critic(observation).squeeze(-1)"
ADAM = (
    "self.optimiser = torch.optim.Adam(self.parameters, lr=learning_rate, betas=(beta1, beta2), eps=eps, fused=fused)"
)
HIDDEN = "x = torch.tanh(self.hidden2(x))  # [b, hidden]"
STEP = "observation, reward, terminated, truncated, _ = self.raw.step(action)"

BUGS: dict[str, Planted] = {
    # --- listed: reinforcement learning
    "R01": bug("loss", SURROGATE, SURROGATE.replace("return -", "return "), "loss", "sign"),
    "R02": bug(
        "loss",
        "- self.entropy_coefficient * bonus",
        "+ self.entropy_coefficient * bonus",
        "loss",
        "sign of the entropy bonus",
    ),
    "R03": bug("loss", SURROGATE, SURROGATE.replace("torch.min", "torch.max"), "loss", "max instead of min"),
    "R05 in the loss": bug(
        "loss",
        RATIO,
        RATIO.replace("- old_log_probability", "- log_probability.detach()"),
        "loss",
        "recomputed with the current policy",
    ),
    "R05 in the terms": bug(
        "loss",
        "clipped_surrogate(log_probability, old_log_probability,",
        "clipped_surrogate(log_probability, log_probability.detach(),",
        "loss",
        "recomputed with the current policy",
    ),
    "R05 in the data": bug(
        "data",
        YIELD,
        YIELD.replace("yield ", "batch = ")
        + "\n            outputs = model(batch['observation'].to(next(model.parameters())))\n            batch['old_log_probability'] = model.log_probability(outputs, batch['action']).detach()\n            yield batch",
        "data",
        "recomputed with the current policy",
    ),
    "R06": bug(
        "model",
        "return (-0.5 * z * z - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)",
        "return -0.5 * z * z - log_std - 0.5 * math.log(2 * math.pi)",
        "model",
        "not summed over the action dimensions",
    ),
    "R10": bug(
        "loss",
        "(1 - terminated.to(reward.dtype)) - value",
        "goes_on - value",
        "training",
        "truncation is treated as termination",
    ),
    "R11": bug(
        "loss",
        "    goes_on = 1 - torch.maximum(terminated, truncated).to(reward.dtype)\n",
        "    terminated, truncated = (torch.cat([f[1:], torch.zeros_like(f[:1])]) for f in (terminated, truncated))\n    goes_on = 1 - torch.maximum(terminated, truncated).to(reward.dtype)\n",
        "training",
        "wrong index",
    ),
    "R13 in the data": bug(
        "data",
        "value, next_value = values[:-1], values[1:].clone()",
        "value, next_value = values[:-1], values[1:].clone()\n        next_value[-1] = 0.0",
        "data",
        "no bootstrap at the end of the rollout",
    ),
    "R13 in gae": bug(
        "loss",
        "    delta = reward + gamma",
        "    next_value = torch.cat([next_value[:-1], torch.zeros_like(next_value[:1])])\n    delta = reward + gamma",
        "training",
        "no bootstrap at the end of the rollout",
    ),
    "R15": bug(
        "loss", "decay = gamma * lam * goes_on", "decay = lam * goes_on", "training", "gamma is missing in the decay"
    ),
    "R17": bug(
        "loss",
        "return (advantage - advantage.mean()) / (advantage.std() + 1e-8)",
        "return advantage - advantage.mean() / (advantage.std() + 1e-8)",
        "data",
        "operator precedence",
        "normalise_advantages",
    ),
    "R18": bug("loss", SURROGATE, "advantage = advantage.view(-1, 1)\n    " + SURROGATE, "loss", "(N, 1)"),
    "R19": bug(
        "loss",
        "        policy = clipped_surrogate(",
        "        advantage = value_target - value\n        policy = clipped_surrogate(",
        "loss",
        "",
    ),
    "R20": bug("loss", "error = value_loss(value, old_value,", "error = value_loss(old_value, old_value,", "loss", ""),
    "R27": bug(
        "environments",
        STEP,
        STEP + "\n        reward, self.late = getattr(self, 'late', 0.0), reward",
        "data",
        "reward is stored one step late",
        "collect",
    ),
    "R29": bug(
        "environments",
        "actions = self.executable(act(self.observations(raw, False)))",
        "actions = self.executable(act(self.observations(raw, True)))",
        "evaluation",
        "normaliser",
        data__normalise_observations=True,
    ),
    "R32": bug(
        "model",
        "self.actor = MLP(observations, actions, hidden, 0.01, initialisation)\n        self.critic",
        "self.actor = MLP(observations, actions, hidden, 2**0.5, initialisation)\n        self.critic",
        "model",
        "gain",
    ),
    "R33": bug("training", ", eps=eps, fused", ", fused", "training", "eps of the paper not set"),
    "R35": bug(
        "environments",
        "observation: Array = self.raw.reset()[0]",
        "observation: Array = self.raw.reset(seed=1)[0]",
        "data",
        "same seed is given at every reset",
        "collect",
    ),
    "R37 of advantages": bug(
        "data",
        '"advantage": advantage,',
        '"advantage": advantage.T.reshape(advantage.shape),',
        "data",
        "different orders",
    ),
    "R37 of observations": bug(
        "data",
        '"observation": rollout["observation"],',
        '"observation": rollout["observation"].transpose(0, 1).reshape(rollout["observation"].shape),',
        "data",
        "different orders",
    ),
    "R38": bug(
        "model",
        "return logits.log_softmax(-1).gather",
        "return logits.softmax(-1).log_softmax(-1).gather",
        "model",
        "softmax output passed as logits",
    ),
    # --- listed: generic
    "X01": bug("training", "        self.optimiser.zero_grad()\n", "", "training", "zero_grad is missing"),
    "X06": bug(
        "training",
        "self.parameters = list(model.parameters())",
        "self.parameters = list(__import__('copy').deepcopy(model).parameters())",
        "training",
        "another model",
    ),
    "X07": Planted(
        (
            Patch("model", "self.hidden2 = nn.Linear(hidden, hidden)", "self.rest = [nn.Linear(hidden, hidden)]"),
            Patch("model", "self.hidden2: math.sqrt(2)", "self.rest[0]: math.sqrt(2)"),
            Patch("model", HIDDEN, "x = torch.tanh(self.rest[0](x))"),
        ),
        "model",
        "plain Python list",
    ),
    "X09": bug(
        "model",
        "        self.critic = MLP(observations, 1, hidden, 1.0, initialisation)\n\n    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:",
        "        self.critic = MLP(observations, 1, hidden, 1.0, initialisation)\n        self.critic.requires_grad_(False)\n\n    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:",
        "model",
        "frozen",
    ),
    "X10": bug(
        "model", HIDDEN, "with torch.no_grad():\n            x = torch.tanh(self.hidden2(x))", "model", "no_grad"
    ),
    "X12": bug(
        "loss",
        'return {"total": total, "policy"',
        'total = torch.tensor(total.item(), requires_grad=True)\n        return {"total": total, "policy"',
        "loss",
        "re-wrapped",
    ),
    "X14": bug(
        "model",
        "                nn.init.orthogonal_(layer.weight, its_gain)\n",
        "                nn.init.constant_(layer.weight, 0.01 * its_gain)\n",
        "model",
        "same constant",
    ),
    "X15": Planted(
        (
            Patch("training", 'self.backward(terms["total"])', 'self.backward(terms["total"] * 65536)'),
            Patch(
                "training",
                "        self.optimiser.step()\n",
                "        for parameter in self.parameters:\n            parameter.grad /= 65536\n        self.optimiser.step()\n",
            ),
        ),
        "training",
        "unscaled",
    ),
    "X19": bug(
        "training", '        self.optimiser.load_state_dict(state["optimiser"])\n', "", "training", "optimiser's state"
    ),
    "X20": bug("training", '        self.made = state["made"]\n', "", "training", "schedule's state"),
    "X24": bug(
        "model",
        HIDDEN,
        HIDDEN + "\n        x = x + getattr(self, 'h', torch.zeros(())).mean()\n        self.h = x.detach()",
        "model",
        "",
    ),
    "X25": bug("data", YIELD, "self.rollout['observation'].mul_(1.05)\n            " + YIELD, "data", ""),
    "X27": bug("model", FORWARD, FORWARD.replace(".squeeze(-1)", ""), "model", "", "data"),
    "X28": bug("loss", SURROGATE, SURROGATE.replace(".mean()", ".sum()"), "loss", "sum"),
    "X30": bug(
        "data",
        "self.generator = torch.Generator().manual_seed(seed)",
        "self.generator = torch.Generator()\n        self.generator.seed()",
        "training",
        "no seeding",
    ),
    "X32": bug("data", ORDER, "self.order = torch.arange(rows)", "data", "not shuffled"),
    "X35": bug(
        "training",
        "torch.optim.Adam(self.parameters,",
        "torch.optim.AdamW(self.parameters,",
        "training",
        "weight decay",
    ),
    "X36": bug("model", HIDDEN, HIDDEN + "\n        x = nn.functional.dropout(x, 0.1)", "model", "dropout"),
    "X38": Planted(
        (
            Patch(
                "loss",
                "class PPO:",
                "class Same(torch.autograd.Function):\n"
                "    @staticmethod\n    def forward(ctx, x):\n        return x.clone()\n\n"
                "    @staticmethod\n    def backward(ctx, gradient):\n        return gradient / 2\n\n\nclass PPO:",
            ),
            Patch(
                "loss",
                "policy = clipped_surrogate(log_probability,",
                "policy = clipped_surrogate(Same.apply(log_probability),",
            ),
        ),
        "loss",
        "custom backward",
    ),
    "policy gradient halved by detaching": bug(
        "loss",
        "policy = clipped_surrogate(log_probability,",
        "log_probability = (log_probability + log_probability.detach()) / 2\n        policy = clipped_surrogate(log_probability,",
        "loss",
        "detached",
    ),
    "critic is detached": bug(
        "loss", "error = value_loss(value, old", "error = value_loss(value.detach(), old", "loss", ""
    ),
    # --- not in the list: what a hidden set may hold
    "entropy averaged over actions": bug(
        "model", "return -(log_p.exp() * log_p).sum(-1)", "return -(log_p.exp() * log_p).mean(-1)", "model", "averaged"
    ),
    "ratio upside down": bug(
        "loss",
        RATIO,
        RATIO.replace("log_probability - old_log_probability", "old_log_probability - log_probability"),
        "loss",
        "upside down",
    ),
    "no exponential": bug(
        "loss",
        RATIO,
        RATIO.replace("(log_probability - old_log_probability).exp()", "log_probability - old_log_probability"),
        "loss",
        "exponentiated",
    ),
    "clip from one side only": bug("loss", "ratio.clamp(1 - clip, 1 + clip)", "ratio.clamp(max=1 + clip)", "loss", ""),
    "value loss clipped around 0": bug(
        "loss",
        "moved = old_value + (value - old_value).clamp(-clip, clip)",
        "moved = value.clamp(-clip, clip)",
        "loss",
        "around 0",
    ),
    "min of the value losses": bug(
        "loss", "error = torch.max(error", "error = torch.min(error", "loss", "min instead of max"
    ),
    "value and target exchanged with old value": bug(
        "loss", "value_loss(value, old_value, value_target,", "value_loss(value, value_target, old_value,", "loss", ""
    ),
    "no half in the value loss": bug("loss", "return 0.5 * error.mean()", "return error.mean() * 0.25", "loss", ""),
    "value is not subtracted": bug(
        "loss",
        "(1 - terminated.to(reward.dtype)) - value",
        "(1 - terminated.to(reward.dtype))",
        "training",
        "",
    ),
    "gae runs across episodes": bug(
        "loss",
        "decay = gamma * lam * goes_on",
        "decay = torch.full_like(reward, gamma * lam)",
        "training",
        "across the end",
    ),
    "next episode's value at a cut": bug(
        "data",
        "            next_value[t, n] = worth",
        "            pass",
        "data",
        "",
        "gae",
        data__environment="Pendulum-v1",
    ),
    "advantages not normalised": bug(
        "data",
        'if self.normalise_advantages == "minibatch":',
        'if self.normalise_advantages == "never":',
        "data",
        "not normalised",
    ),
    "old values of the next step": bug("data", '"old_value": value,', '"old_value": next_value,', "data", ""),
    "observation after the step": bug(
        "environments",
        "        observations[t] = seen\n        action = act(seen)",
        "        action = act(seen)",
        "data",
        "",
        "collect",
    ),
    "all environments one seed": bug(
        "environments", "environment.seed([*seed, number])", "environment.seed([*seed])", "data", ""
    ),
    "seed not passed on": bug("data", "self.acting.seed(seed, SPLITS", "self.acting.seed(0, SPLITS", "data", "seed"),
    "old rollout is kept": bug(
        "data",
        "        self.rollout = None\n\n    def minibatch",
        "        self.position = 0\n\n    def minibatch",
        "data",
        "",
    ),
    "rollout not saved": bug("data", '"rollout": self.rollout,', '"rollout": None,', "training", ""),
    "episode not resumed": bug(
        "environments",
        "            self.step(action)\n\n\ndef instead_of",
        "            pass\n\n\ndef instead_of",
        "training",
        "",
    ),
    "rate of the next rollout": bug(
        "training", "rollout = (update - 1) // self.per_rollout", "rollout = update // self.per_rollout", "training", ""
    ),
    "rate never annealed": bug(
        "training",
        "return self.learning_rate * (1 - rollout / self.rollouts)",
        "return self.learning_rate",
        "training",
        "",
    ),
    "gradients never clipped": bug(
        "training", "nn.utils.clip_grad_norm_(self.parameters, self.clip)", "pass", "training", "clip"
    ),
    "clipped one by one": bug(
        "training",
        "nn.utils.clip_grad_norm_(self.parameters, self.clip)",
        "[nn.utils.clip_grad_norm_([p], self.clip) for p in self.parameters]",
        "training",
        "",
    ),
    "clipped before backward": bug(
        "training",
        '        self.backward(terms["total"])\n        if self.clip is not None:\n            nn.utils.clip_grad_norm_(self.parameters, self.clip)\n',
        '        nn.utils.clip_grad_norm_(self.parameters, self.clip)\n        self.backward(terms["total"])\n',
        "training",
        "clip",
    ),
    "critic gets the actor's output": bug(
        "model",
        FORWARD,
        "return self.actor(observation), self.critic.output(self.actor.hidden2(self.actor.hidden1(observation))).squeeze(-1)",
        "model",
        "",
    ),
    "no second layer": bug("model", HIDDEN, "pass", "model", ""),
    "evaluation plays the training environments": bug(
        "data",
        "        environments = self.elsewhere(split)\n",
        "        environments = self.acting\n",
        "evaluation",
        "",
    ),
    "evaluation returns are of scaled rewards": bug(
        "environments",
        "        return [one.total for one in self.each]",
        "        return [one.total / (float(self.rewards.sums.sum()) + 2) for one in self.each]",
        "evaluation",
        "",
    ),
}

#: Correct code that looks different.
VARIANTS: dict[str, Planted] = {
    "as it is": Planted(()),
    "C11": bug("loss", SURROGATE, "return torch.max(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)).mean()", "loss", ""),
    "C13 unclipped": Planted((), settings={"loss.clip_value": None}),
    "C14": bug("loss", "    goes_on = 1 - torch.maximum(terminated, truncated).to(reward.dtype)\n    delta = reward + gamma * next_value * (1 - terminated.to(reward.dtype)) - value\n", "    dtype = reward.dtype\n    reward = reward + gamma * next_value * truncated.to(dtype)\n    done = torch.maximum(terminated, truncated).to(dtype)\n    dones, next_done = torch.cat([torch.zeros_like(done[:1]), done[:-1]]), done[-1:]\n    goes_on = 1 - torch.cat([dones[1:], next_done])\n    delta = reward + gamma * next_value * goes_on - value\n", "training", ""),
    "C16": bug("loss", "    delta = reward + gamma", "    reward = torch.where((truncated > 0) & ~(terminated > 0), reward + gamma * next_value, reward)\n    terminated = torch.maximum(terminated, truncated)\n    delta = reward + gamma", "training", ""),
    "C17": bug("loss", "        policy = clipped_surrogate(log_probability, old_log_probability, advantage, self.clip)", "        policy = clipped_surrogate(log_probability, old_log_probability.detach(), advantage.detach(), self.clip)", "loss", ""),
    "C25 zero_grad at the end": Planted((Patch("training", "        self.optimiser.zero_grad()\n", ""), Patch("training", "        self.optimiser.step()\n", "        self.optimiser.step()\n        self.optimiser.zero_grad()\n")), "training"),
    "C25 set_to_none=False": bug("training", "self.optimiser.zero_grad()", "self.optimiser.zero_grad(set_to_none=False)", "training", ""),
    "foreach": bug("training", "fused=fused", "foreach=True", "training", ""),
    "torch.distributions": bug("model", "return logits.log_softmax(-1).gather(-1, action[:, None]).squeeze(-1)", "return torch.distributions.Categorical(logits=logits).log_prob(action)", "model", ""),
    "normal by PyTorch": bug("model", "return (-0.5 * z * z - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)", "return torch.distributions.Normal(mean, log_std.exp()).log_prob(action).sum(-1)", "model", ""),
    "biased variance": bug("loss", "(advantage.std() + 1e-8)", "(advantage.std(correction=0) + 1e-5)", "data", ""),
    "gae one step at a time": bug("loss", "        last = torch.addcmul(delta[t], decay[t], last)  # delta_t + gamma lam A_{t+1}\n", "        last = delta[t] + decay[t] * last\n", "training", ""),
    "Smooth order of environments": bug("data", "return {name: value.flatten(0, 1) for name, value in rollout.items()}", "return {name: value.transpose(0, 1).flatten(0, 1) for name, value in rollout.items()}", "data", ""),
    "numpy permutation": bug("data", ORDER, "self.order = torch.from_numpy(np.random.default_rng(int(torch.randint(2**31, (), generator=self.generator))).permutation(rows))", "data", ""),
    "more hidden units": Planted((), settings={"model.hidden": 32}),
    "bootstrap": Planted((), settings={"data.truncation": "bootstrap"}),
    "normalised": Planted((), settings={"data.normalise_observations": True, "data.scale_rewards": True}),
    "over the rollout": Planted((), settings={"data.normalise_advantages": "rollout"}),
    "not normalised": Planted((), settings={"data.normalise_advantages": None}),
    "constant rate": Planted((), settings={"training.anneal": False}),
    "one epoch": Planted((), settings={"data.epochs": 1, "budget.per_rollout": 4}),
    "three actions": Planted((), settings={"data": "acrobot"}),
}  # fmt: skip
