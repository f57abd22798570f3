"""Hinge losses."""

import torch.nn.functional as F


def generator_loss(fake_score):
    return {"total": -fake_score.mean()}


def discriminator_loss(score, fake_score):
    real, fake = F.relu(1.0 - score).mean(), F.relu(1.0 + fake_score).mean()
    return {"total": real + fake, "real": real, "fake": fake}
