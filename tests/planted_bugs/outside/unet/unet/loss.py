"""Cross entropy plus the Dice loss, over pixels that are not void."""

import torch.nn as nn
import torch.nn.functional as F

VOID = 255


class CombinedLoss(nn.Module):
    def __init__(self, dice_weight=1.0, smooth=1.0):
        super().__init__()
        self.ce = nn.CrossEntropyLoss(ignore_index=VOID)
        self.dice_weight, self.smooth = dice_weight, smooth

    def dice(self, logits, mask):
        valid = (mask != VOID).unsqueeze(1)
        probs = logits.softmax(dim=1) * valid
        onehot = F.one_hot(mask.masked_fill(mask == VOID, 0), logits.shape[1]).permute(0, 3, 1, 2).to(probs) * valid
        inter = (probs * onehot).sum(dim=(0, 2, 3))
        size = probs.sum(dim=(0, 2, 3)) + onehot.sum(dim=(0, 2, 3))
        return 1 - ((2 * inter + self.smooth) / (size + self.smooth)).mean()

    def forward(self, logits, mask):
        ce, dice = self.ce(logits, mask), self.dice(logits, mask)
        return {"cross_entropy": ce, "dice": dice, "total": ce + self.dice_weight * dice}
