"""Episodes: five classes of two examples each to learn from (support), others of the same to tell (query)."""

import torch


class Episodes:
    """60 classes, each a centre seen through a fixed map; training, validation and test have other classes."""

    def __init__(self, episodes=4, ways=5, shots=2, queries=10, features=12, seed=0):
        self.episodes, self.ways, self.shots, self.queries, self.features = episodes, ways, shots, queries, features
        g = torch.Generator().manual_seed(77)
        self.centres = torch.randn(60, 3, generator=g) * 1.5
        self.lift = torch.randn(3, features, generator=g)
        self.noise = torch.randn(4, features, generator=g)
        self.classes = {"train": range(0, 40), "validation": range(40, 50), "test": range(50, 60)}
        self.g = torch.Generator().manual_seed(seed)
        self.k = 0

    def examples(self, classes, n, g):
        """[len(classes), n, features]"""
        z = self.centres[classes][:, None] + 0.3 * torch.randn(len(classes), n, 3, generator=g)
        junk = torch.randn(len(classes), n, 4, generator=g) @ self.noise
        return torch.sin(z @ self.lift) + 0.3 * junk

    def episode(self, pool, g):
        classes = torch.tensor(list(pool))[torch.randperm(len(pool), generator=g)[: self.ways]]
        per_class = self.queries // self.ways
        x = self.examples(classes, self.shots + per_class, g)
        label = torch.arange(self.ways).repeat_interleave(per_class)
        shuffle = torch.randperm(self.queries, generator=g)
        query = x[:, self.shots :].reshape(self.queries, -1)
        return {"support": x[:, : self.shots], "query": query[shuffle], "label": label[shuffle]}

    def stack(self, n, pool, g):
        made = [self.episode(pool, g) for _ in range(n)]
        return {k: torch.stack([e[k] for e in made]) for k in made[0]}

    def batches(self, split):
        if split == "train":
            while self.k < 25:
                self.k += 1
                yield self.stack(self.episodes, self.classes["train"], self.g)
            self.k = 0
        else:
            g = torch.Generator().manual_seed(1 if split == "validation" else 2)
            for _ in range(10):
                yield self.stack(self.episodes, self.classes[split], g)

    def synthetic(self, n, seed):
        return self.stack(n, self.classes["train"], torch.Generator().manual_seed(seed))

    def state_dict(self):
        return {"g": self.g.get_state(), "k": self.k}

    def load_state_dict(self, state):
        self.g.set_state(state["g"])
        self.k = state["k"]
