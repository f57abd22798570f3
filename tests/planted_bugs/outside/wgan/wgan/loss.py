"""Wasserstein losses (Gulrajani et al. 2017)."""


def generator_loss(fake_score):
    return {"total": -fake_score.mean()}


def critic_loss(score, fake_score):
    """total: without the gradient penalty, which training adds"""
    return {"total": fake_score.mean() - score.mean(), "distance": score.mean() - fake_score.mean()}
