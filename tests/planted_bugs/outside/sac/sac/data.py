"""A mass on a line, pushed by a force; steps go into a replay buffer."""

import torch


class PointMass:
    """State (place, speed). Episodes are cut after 30 steps; leaving [-2, 2] ends them, with a penalty."""

    limit = 30

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.reset()

    def reset(self):
        u = torch.rand(2, generator=self.generator) * 2 - 1
        self.state = torch.stack([u[0], 0.5 * u[1]])
        self.t = 0
        return self.state

    def step(self, action):
        place, speed = self.state
        speed = 0.95 * speed + 0.2 * action.clamp(-1, 1)[0]
        place = place + 0.2 * speed
        self.state = torch.stack([place, speed])
        self.t += 1
        terminated = bool(place.abs() > 2)
        reward = -float(place**2 + 0.1 * speed**2 + 0.01 * action[0] ** 2) - 5.0 * terminated
        return self.state, reward, terminated, self.t >= self.limit


FIELDS = {"observation": 2, "action": 1, "reward": 0, "next_observation": 2, "done": 0}


class ReplayBuffer:
    def __init__(self, capacity):
        self.store = {k: torch.zeros(capacity, d) if d else torch.zeros(capacity) for k, d in FIELDS.items()}
        self.capacity, self.size, self.at = capacity, 0, 0

    def add(self, **row):
        for k, v in row.items():
            self.store[k][self.at] = torch.as_tensor(v)
        self.at = (self.at + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, n, generator):
        idx = torch.randint(self.size, (n,), generator=generator)
        return {k: v[idx] for k, v in self.store.items()}


class OffPolicy:
    def __init__(self, batch_size=64, capacity=2000, start=200, per_update=2, seed=0):
        self.batch_size, self.start, self.per_update = batch_size, start, per_update
        self.env = PointMass(seed)
        self.buffer = ReplayBuffer(capacity)
        self.generator = torch.Generator().manual_seed(seed + 1)
        self.observation = self.env.state

    @torch.no_grad()
    def act(self, actor, steps):
        device = next(actor.parameters()).device
        for _ in range(steps):
            if self.buffer.size < self.start:
                action = torch.rand(1, generator=self.generator) * 2 - 1
            else:
                noise = torch.randn(1, 1, generator=self.generator).to(device)
                action = actor(self.observation[None].to(device), noise)[0][0].cpu()
            following, reward, terminated, truncated = self.env.step(action)
            self.buffer.add(
                observation=self.observation,
                action=action,
                reward=reward,
                next_observation=following,
                done=float(terminated),
            )
            self.observation = self.env.reset() if terminated or truncated else following

    def batches(self, split, model=None):
        if split != "train":
            yield self.synthetic(128, {"validation": 11, "test": 12}[split])
            return
        if self.buffer.size < self.start:
            self.act(model["actor"], self.start)
        for _ in range(50):
            self.act(model["actor"], self.per_update)
            yield self.buffer.sample(self.batch_size, self.generator)

    def synthetic(self, n, seed):
        env, buffer, g = PointMass(seed), ReplayBuffer(n), torch.Generator().manual_seed(seed)
        state = env.state
        for _ in range(n):
            action = torch.rand(1, generator=g) * 2 - 1
            following, reward, terminated, truncated = env.step(action)
            buffer.add(
                observation=state, action=action, reward=reward, next_observation=following, done=float(terminated)
            )
            state = env.reset() if terminated or truncated else following
        return dict(buffer.store)

    def state_dict(self):
        return {
            "env": (self.env.generator.get_state(), self.env.state.clone(), self.env.t),
            "buffer": {k: v.clone() for k, v in self.buffer.store.items()},
            "size": self.buffer.size,
            "at": self.buffer.at,
            "generator": self.generator.get_state(),
            "observation": self.observation.clone(),
        }

    def load_state_dict(self, s):
        rng, self.env.state, self.env.t = s["env"]
        self.env.generator.set_state(rng)
        self.buffer.store = {k: v.clone() for k, v in s["buffer"].items()}
        self.buffer.size, self.buffer.at = s["size"], s["at"]
        self.generator.set_state(s["generator"])
        self.observation = s["observation"]
