"""Soft Bellman error of both critics, and the actor's objective."""

import torch


class CriticLoss:
    def __init__(self, gamma=0.95, alpha=0.05):
        self.gamma, self.alpha = gamma, alpha

    def __call__(self, q1, q2, reward, done, next_q1, next_q2, next_log_prob):
        with torch.no_grad():
            value = torch.min(next_q1, next_q2) - self.alpha * next_log_prob
            target = reward + self.gamma * (1 - done) * value
        first, second = (q1 - target).pow(2).mean(), (q2 - target).pow(2).mean()
        return {"q1": first, "q2": second, "total": first + second}


class ActorLoss:
    def __init__(self, alpha=0.05):
        self.alpha = alpha

    def __call__(self, log_prob, q1_policy, q2_policy):
        return {"total": (self.alpha * log_prob - torch.min(q1_policy, q2_policy)).mean()}
