"""Viterbi decoding; F1 of whole names, and the share of words with the right tag."""

import torch


def viterbi(emissions, transition, start, end):
    """One sentence, emissions [length, tags] → list of tags."""
    score = start + emissions[0]
    back = []
    for e in emissions[1:]:
        best, arg = (score[:, None] + transition).max(0)
        score = best + e
        back.append(arg)
    tag = int((score + end).argmax())
    path = [tag]
    for arg in reversed(back):
        tag = int(arg[tag])
        path.append(tag)
    return path[::-1]


def names(tags):
    """Spans (first, last) of B I I …; an I without a B before it begins a name too, as conlleval counts."""
    spans, first = set(), None
    for i, tag in enumerate([*tags, 0]):
        if first is not None and tag != 2:
            spans.add((first, i - 1))
            first = None
        if tag == 1 or (tag == 2 and first is None):
            first = i
    return spans


@torch.no_grad()
def evaluate(model, data, split="test"):
    was_training = model.training
    model.eval()
    device = model.start.device
    both = predicted = gold = right = total = 0
    for batch in data.batches(split):
        emissions, *rest = model(batch["words"].to(device), batch["lengths"])
        for e, tags, n in zip(emissions, batch["tags"], batch["lengths"].tolist(), strict=True):
            path, truth = viterbi(e[:n], *rest), tags[:n].tolist()
            ours, theirs = names(path), names(truth)
            both, predicted, gold = both + len(ours & theirs), predicted + len(ours), gold + len(theirs)
            right += sum(p == t for p, t in zip(path, truth, strict=True))
            total += n
    model.train(was_training)
    return {"f1": 2 * both / max(1, predicted + gold), "accuracy": right / total}
