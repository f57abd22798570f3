"""Two strokes on 8 x 8 pixels."""

import numpy as np
import torch


class Strokes:
    def __init__(self, batch_size: int = 32, seed: int = 0):
        self.batch_size = batch_size
        pictures = np.unique(self._draw(900, np.random.default_rng(0)), axis=0)
        pictures = pictures[np.random.default_rng(1).permutation(len(pictures))]
        assert len(pictures) >= 500
        self.data = {"train": pictures[:400], "validation": pictures[400:450], "test": pictures[450:500]}
        self.rng = np.random.default_rng(seed)
        self.todo: list[int] = []

    @staticmethod
    def _draw(n, rng):
        x = np.zeros((n, 1, 8, 8), dtype=np.float32)
        for picture in x[:, 0]:
            r, c = rng.integers(0, 8, 2)
            a, b = sorted(rng.integers(0, 9, 2))
            picture[r, a:b] = 1
            a, b = sorted(rng.integers(0, 9, 2))
            picture[a:b, c] = 1
        return x

    def batches(self, split: str):
        pictures = self.data[split]
        if split == "train":
            self.todo = self.todo or self.rng.permutation(len(pictures)).tolist()
            while self.todo:
                now, self.todo = self.todo[: self.batch_size], self.todo[self.batch_size :]
                yield {"image": torch.from_numpy(pictures[now])}
        else:
            for i in range(0, len(pictures), self.batch_size):
                yield {"image": torch.from_numpy(pictures[i : i + self.batch_size])}

    def synthetic(self, n: int, seed: int):
        return {"image": torch.from_numpy(self._draw(n, np.random.default_rng(seed)))}

    def state_dict(self):
        return {"rng": self.rng.bit_generator.state, "todo": list(self.todo)}

    def load_state_dict(self, state):
        self.rng.bit_generator.state = state["rng"]
        self.todo = list(state["todo"])
