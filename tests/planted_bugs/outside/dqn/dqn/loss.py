"""Huber loss of the temporal difference (Mnih et al. 2015)."""

import torch
import torch.nn.functional as F


class TDLoss:
    def __init__(self, gamma=0.95):
        self.gamma = gamma

    def __call__(self, q, action, reward, done, next_q):
        chosen = q.gather(1, action[:, None]).squeeze(1)
        with torch.no_grad():
            target = reward + self.gamma * (1 - done) * next_q.max(dim=1).values
        return {"total": F.smooth_l1_loss(chosen, target)}
