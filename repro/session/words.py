"""What each step is for, and how it connects to the next: the same for every paper."""

from __future__ import annotations

GOAL = {
    "analysis": "Say what the paper's minimal algorithm is, what is left out, what is easy to get wrong, and which "
    "numbers it prints; let the table be audited for contradictions.",
    "data": "Give batches of the declared tensors in three splits that share nothing, made-up ones first; the training "
    "stream can stop after any batch and go on with the next.",
    "model": "Write the model so that forward takes declared tensors by name and returns declared tensors, each stage "
    "with its shape.",
    "loss": "Write the loss as named terms with `total`, and know its value before training.",
    "training": "Write one update: zero_grad, forward, loss, backward, clip, step, schedule; and what must be saved.",
    "evaluation": "Measure what the paper prints, as the paper measures it, on the whole split; leave training alone.",
    "gauntlet": "Show that the whole learns: memorise a few examples, gradients everywhere, the rates that learn, and "
    "what each part buys.",
    "reproduction": "Train over seeds, and let every printed number be judged.",
}

NEXT = {
    "analysis": "Data comes first in code: the tensors that you declared here are what a batch must hold.",
    "data": "The model takes these batches by the names of its parameters; `synthetic` lets it be checked before "
    "anything is trained.",
    "model": "The loss takes the model's outputs and the batch's targets by name; its value before training says "
    "whether both are what they should be.",
    "loss": "Training minimises `total`; the update is watched from outside, through hooks.",
    "training": "Evaluation looks at what training has made, and must not change it.",
    "evaluation": "All parts hold by themselves. The gauntlet lets them work together, still in minutes.",
    "gauntlet": "What is left is the full training over seeds, and the verdict on each printed number.",
    "reproduction": "The report says which numbers match. Two things remain: explain every line (python -m repro "
    "status paper=… --explained <file>), and try a variation of your own (an ablation with `own: true`).",
}
