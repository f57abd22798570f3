"""The simple loss, equation 14."""

import torch.nn.functional as F


def loss(predicted, noise):
    """total: squared error of the noise"""
    return {"total": F.mse_loss(predicted, noise)}
