"""Policy gradient with an entropy bonus, and squared error of the value (Mnih et al. 2016)."""

from __future__ import annotations

import torch.nn.functional as F


def policy_gradient_loss(logits, actions, advantages, entropy_coefficient):
    log_p = F.log_softmax(logits, dim=-1)
    taken = log_p.gather(1, actions.unsqueeze(1)).squeeze(1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    return -(taken * advantages).mean() - entropy_coefficient * entropy.mean()


def value_loss(values, returns):
    return F.mse_loss(values, returns)


class Loss:
    """policy: gradient and entropy bonus; value: squared error; total: policy plus half the value"""

    def __init__(self, entropy_coefficient=0.01, value_coefficient=0.5):
        self.entropy_coefficient, self.value_coefficient = entropy_coefficient, value_coefficient

    def __call__(self, logits, value, action, advantage, returns):
        policy = policy_gradient_loss(logits, action, advantage, self.entropy_coefficient)
        critic = value_loss(value, returns)
        return {"policy": policy, "value": critic, "total": policy + self.value_coefficient * critic}
