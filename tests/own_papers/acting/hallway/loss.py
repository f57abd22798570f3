"""Minus log-probability times advantage, half the squared error of the critic, and a bonus on entropy."""

from __future__ import annotations


def actor_critic(logits, value, action, target, entropy_weight=0.01):
    log_policy = logits.log_softmax(-1)
    chosen = log_policy.gather(-1, action.unsqueeze(-1)).squeeze(-1)
    policy = -(chosen * (target - value).detach()).mean()
    critic = 0.5 * (target - value).square().mean()
    entropy = -(log_policy.exp() * log_policy).sum(-1).mean()
    return {"policy": policy, "critic": critic, "entropy": entropy, "total": policy + critic - entropy_weight * entropy}
