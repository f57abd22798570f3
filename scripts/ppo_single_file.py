"""PPO for discrete actions in one file, in the usual style: what the speed of paper=ppo is compared with.

    OMP_NUM_THREADS=1 python scripts/ppo_single_file.py --steps 500000 --seed 0

Same environments, networks, settings and number of updates as conf/data/cartpole.yaml: gymnasium's SyncVectorEnv with
its wrappers, torch.distributions, actor and critic asked at every step, one Adam. Prints steps per second, and the mean
return of the last 100 episodes. Nothing of the package is used.
"""

from __future__ import annotations

import argparse
import time
from collections import deque

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical


def layer(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    def __init__(self, observations: int, actions: int) -> None:
        super().__init__()
        self.critic = nn.Sequential(layer(observations, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, 1, 1.0))
        self.actor = nn.Sequential(
            layer(observations, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, actions, 0.01)
        )

    def act(self, observation: torch.Tensor, action: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        policy = Categorical(logits=self.actor(observation))
        if action is None:
            action = policy.sample()
        return action, policy.log_prob(action), policy.entropy(), self.critic(observation)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", default="CartPole-v1")
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    number, horizon, epochs, minibatches, gamma, lam, clip = 4, 128, 4, 4, 0.99, 0.95, 0.2
    torch.manual_seed(given.seed)
    np.random.seed(given.seed)

    def make() -> gym.Env:
        return gym.wrappers.RecordEpisodeStatistics(gym.make(given.environment))

    envs = gym.vector.SyncVectorEnv([make] * number, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)
    shape = envs.single_observation_space.shape
    agent = Agent(int(np.prod(shape)), int(envs.single_action_space.n))
    optimiser = torch.optim.Adam(agent.parameters(), lr=2.5e-4, eps=1e-5)
    observations = torch.zeros((horizon, number, *shape))
    actions, log_probs, rewards, dones, values = (torch.zeros(horizon, number) for _ in range(5))
    finished: deque[float] = deque(maxlen=100)
    began = time.perf_counter()
    seen, _ = envs.reset(seed=given.seed)
    next_observation, next_done = torch.Tensor(seen), torch.zeros(number)
    iterations = given.steps // (number * horizon)
    for iteration in range(iterations):
        optimiser.param_groups[0]["lr"] = 2.5e-4 * (1 - iteration / iterations)
        for step in range(horizon):
            observations[step], dones[step] = next_observation, next_done
            with torch.no_grad():
                action, log_prob, _, value = agent.act(next_observation)
            actions[step], log_probs[step], values[step] = action, log_prob, value.flatten()
            seen, reward, terminated, truncated, info = envs.step(action.numpy())
            rewards[step] = torch.tensor(reward)
            next_observation, next_done = torch.Tensor(seen), torch.Tensor(np.logical_or(terminated, truncated))
            if "final_info" in info:
                ended = info["final_info"]["_episode"]
                finished.extend(info["final_info"]["episode"]["r"][ended].tolist())
        with torch.no_grad():
            next_value = agent.critic(next_observation).flatten()
            advantages, last = torch.zeros_like(rewards), torch.zeros(number)
            for t in reversed(range(horizon)):
                alive = 1 - (next_done if t == horizon - 1 else dones[t + 1])
                after = next_value if t == horizon - 1 else values[t + 1]
                delta = rewards[t] + gamma * after * alive - values[t]
                advantages[t] = last = delta + gamma * lam * alive * last
            returns = advantages + values
        flat = [observations.reshape(-1, *shape), *(x.reshape(-1) for x in (actions, log_probs, advantages, returns))]
        old_values = values.reshape(-1)
        indices = np.arange(number * horizon)
        for _ in range(epochs):
            np.random.shuffle(indices)
            for part in np.split(indices, minibatches):
                b_obs, b_act, b_log, b_adv, b_ret = (x[part] for x in flat)
                _, log_prob, entropy, value = agent.act(b_obs, b_act.long())
                ratio = (log_prob - b_log).exp()
                b_adv = (b_adv - b_adv.mean()) / (b_adv.std() + 1e-8)
                policy_loss = torch.max(-b_adv * ratio, -b_adv * ratio.clamp(1 - clip, 1 + clip)).mean()
                value = value.view(-1)
                clipped = old_values[part] + (value - old_values[part]).clamp(-clip, clip)
                value_loss = 0.5 * torch.max((value - b_ret) ** 2, (clipped - b_ret) ** 2).mean()
                loss = policy_loss - 0.01 * entropy.mean() + 0.5 * value_loss
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimiser.step()
    seconds = time.perf_counter() - began
    steps = iterations * number * horizon
    print(f"{steps} steps, {seconds:.2f} s, {steps / seconds:.0f} steps/s, last 100 episodes {np.mean(finished):.2f}")


if __name__ == "__main__":
    main()
